"""Several measures of several models, every run a dot."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxvae.viz.canvas import INK, figure_of, styled, write

COLUMNS = 3


def save_measures(
    path: str | Path, values: Mapping[str, Mapping[str, Sequence[float]]], beside: Mapping[str, float]
) -> None:
    """Draw a panel for each measure, a column of dots for each model with its median, and what real images have.

    Args:
      path: PNG file to write.
      values: measure -> model -> its value of every run.
      beside: measure -> the value of other real images, drawn as a line where there is one.
    """
    num_rows = -(-len(values) // COLUMNS)
    figure = figure_of(3.4 * min(COLUMNS, len(values)), 2.9 * num_rows)
    panels = np.atleast_1d(figure.subplots(num_rows, min(COLUMNS, len(values)))).ravel()
    for axes, (measure, models) in zip(panels, values.items(), strict=False):
        styled(axes, measure.replace("_", " ").capitalize(), "", "")
        for place, (_, numbers) in enumerate(models.items()):
            axes.plot(np.full(len(numbers), place), numbers, "o", color=f"C{place}", markersize=5, alpha=0.7)
            axes.plot([place - 0.25, place + 0.25], [np.median(numbers)] * 2, color=f"C{place}", linewidth=2)
        if measure in beside:
            axes.axhline(beside[measure], color=INK, linewidth=1, linestyle="--", label="real images")
            axes.legend(frameon=False, fontsize=8)
        axes.set_xticks(range(len(models)), list(models), rotation=20, ha="right")
        axes.set_xlim(-0.6, len(models) - 0.4)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    for axes in panels[len(values) :]:
        axes.set_visible(False)
    write(figure, path)
