"""Figures of spectra: the power of images at each spatial frequency."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.errors import check_shape
from jaxvae.viz.canvas import INK, figure_of, styled, write


def save_spectra(path: str | Path, data: Any, panels: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw the power of images at each frequency beside that of the data, a panel for each kind of images.

    Args:
      path: PNG file to write.
      data: `evaluation.power_spectrum` of the data, [F].
      panels: title -> name of a model -> the same of its images, [F].
    """
    data = np.asarray(data, np.float64)
    check_shape("data", data, (None,))
    figure = figure_of(4.8 * len(panels), 3.9)
    frequencies = np.arange(1, len(data))  # the mean of an image is not sharp or blurred
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    for axes, (title, curves) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True):
        styled(axes, title, "cycles per image", "power")
        axes.plot(frequencies, data[1:], color=INK, linewidth=2.2, label="data")
        for name, power in curves.items():
            check_shape(f"power of {name}", np.asarray(power), data.shape)
            axes.plot(frequencies, np.asarray(power)[1:], color=f"C{names.index(name)}", linewidth=1.3, label=name)
        axes.set_yscale("log")
        axes.locator_params(axis="x", nbins=6, integer=True)
        axes.legend(frameon=False, fontsize=9)
    write(figure, path)
