"""Figures of codes: how often each is used, and which are where in an image."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxvae.errors import check_shape
from jaxvae.quantizers import code_usage
from jaxvae.viz.canvas import BLUE, MUTED, plot, write
from jaxvae.viz.pictures import save_reconstructions


def save_code_usage(path: str | Path, counts: Any, title: str = "Use of the codes") -> None:
    """Draw how often each code is used, the most used first, beside an even use.

    Args:
      path: PNG file to write.
      counts: [K], or [G, K] of several codebooks, a line each.
      title: above the plot; used codes and perplexity are added.
    """
    counts = np.atleast_2d(np.asarray(counts, np.float64))
    check_shape("counts", counts, (None, None))
    shares = -np.sort(-counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0), axis=1)
    perplexity = np.asarray(code_usage(jnp.asarray(counts)).perplexity)
    used, num = np.count_nonzero(counts, axis=1), counts.shape[1]
    numbers = ", ".join(f"{u} of {num} used, perplexity {p:.0f}" for u, p in zip(used, perplexity, strict=True))
    figure, axes = plot(f"{title}: {numbers}", "codes, the most used first", "share", width=8.0, height=4.2)
    for row, number in zip(shares, used, strict=True):
        axes.plot(np.arange(1, number + 1), row[:number], color=BLUE, linewidth=1.6, alpha=1.0 / len(shares) ** 0.5)
    axes.axhline(1.0 / num, color=MUTED, linewidth=1.2, linestyle="--", label="all alike")
    axes.set_yscale("log")
    axes.set_xlim(0, num + 1)
    axes.legend(frameon=False)
    write(figure, path)


def save_code_maps(path: str | Path, images: Any, codes: Any, num_codes: int, title: str = "Images over codes") -> None:
    """Draw images over their grids of codes, a colour a code.

    Args:
      path: PNG file to write.
      images: [N, H, W, C] in [0, 1].
      codes: [N, h, w], 0 to K - 1.
      num_codes: K.
      title: above the picture.
    """
    images, codes = np.asarray(images), np.asarray(codes)
    check_shape("codes", codes, (len(images), None, None))
    height, width = images.shape[1:3]
    colours = np.random.default_rng(0).random((num_codes, 3))
    rows, columns = (np.arange(n) * m // n for n, m in zip((height, width), codes.shape[1:], strict=True))
    maps = colours[codes[:, rows][:, :, columns]]
    save_reconstructions(path, np.broadcast_to(images, (*images.shape[:3], 3)), maps, title, ("original", "codes"))
