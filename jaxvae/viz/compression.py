"""Figures of compression: bits of every image against its bound, and quality against bytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.viz.canvas import INK, plot, write


def save_rates(path: str | Path, models: Mapping[str, tuple[Any, Any]]) -> None:
    """Draw the bits that images take in a file against their bounds, with the line where they are equal.

    Args:
      path: PNG file to write.
      models: name -> bounds of images and their bits, [N] each.
    """
    figure, axes = plot("Bits of each image", "bound, $-$ELBO or $-$log p [bits]", "in the file [bits]", 6.5, 5.5)
    for name, (bounds, bits) in models.items():
        axes.plot(bounds, bits, ".", markersize=4, alpha=0.6, label=name)
    every = np.concatenate([np.asarray(bounds) for bounds, _ in models.values()])
    axes.plot([every.min(), every.max()], [every.min(), every.max()], "-", color=INK, linewidth=0.8, label="equal")
    axes.legend(frameon=False, fontsize=9)
    write(figure, path)


def save_quality(path: str | Path, curves: Mapping[str, tuple[Any, Any]]) -> None:
    """Draw the quality of images that come back with loss against the size of their files.

    Args:
      path: PNG file to write.
      curves: name -> bytes of an image and PSNR, [P] each.
    """
    figure, axes = plot("Quality at a size", "bytes of an image", "PSNR [dB]", 6.5, 5.0)
    for name, points in curves.items():
        num_bytes, quality = (np.asarray(one) for one in points)
        order = np.argsort(num_bytes)
        axes.plot(num_bytes[order], quality[order], "o-", markersize=4, linewidth=1.5, label=name)
    axes.set_xscale("log", subs=[2, 5])
    for one in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        one("{x:g}")
    axes.legend(frameon=False, fontsize=9)
    write(figure, path)
