"""The figure of a study: how its runs learnt, and what each variant reached."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.viz.canvas import INK, MUTED, ORANGE, figure_of, styled, write

Curve = tuple[Sequence[int], Sequence[float]]  # steps, losses
MOST_NAMED = 10  # variants that have a colour and a line in the legend
CROWDED = 6  # variants whose names stand upright


def save_study(
    path: str | Path,
    values: Mapping[str, Sequence[float]],
    curves: Mapping[str, Sequence[Curve]],
    metric: str,
    axis: str = "",
    best: str | None = None,
) -> None:
    """Draw the validation curves of all runs, and the main number of every variant, run by run and in the mean.

    Args:
      path: PNG file to write.
      values: the main number of the test set of each run of a variant, by the variant's name; NaN or inf of those that
        diverged.
      curves: steps and validation losses of each run, by the same names.
      metric: what the number is, with its unit.
      axis: what the names are values of.
      best: the variant that is best on the validation set.
    """
    figure = figure_of(max(10.0, 6.0 + 0.55 * len(values)), 4.6)
    panels = figure.subplots(1, 2, width_ratios=[1.3, max(1.0, 0.14 * len(values))])
    colors = {name: f"C{i % 10}" if len(values) <= MOST_NAMED else MUTED for i, name in enumerate(values)}
    if best in colors and len(values) > MOST_NAMED:
        colors[best] = ORANGE

    axes = styled(panels[0], "Validation loss", "step", "loss [nats]")
    late = []
    for name, runs in curves.items():
        for number, (steps, losses) in enumerate(runs):
            label = name if number == 0 and (len(values) <= MOST_NAMED or name == best) else None
            axes.plot(steps, losses, color=colors[name], linewidth=1.2, alpha=0.85, label=label)
            late += [value for value in list(losses)[len(losses) // 10 :] if np.isfinite(value)]
    if late:
        low, high = min(late), float(np.percentile(late, 95))
        axes.set_ylim(low - 0.06 * (high - low) - 1e-3, high + 0.15 * (high - low) + 1e-3)
    axes.locator_params(axis="x", nbins=5, integer=True)
    if any(curves.values()):
        axes.legend(frameon=False, fontsize=8)

    axes = styled(panels[1], "Test set, every run and the mean", axis, metric)
    for place, (name, numbers) in enumerate(values.items()):
        sound = np.array([number for number in numbers if np.isfinite(number)])
        axes.plot(np.full(len(sound), place), sound, "o", color=colors[name], markersize=5, alpha=0.7)
        if len(sound) > 1:
            axes.plot([place - 0.25, place + 0.25], [sound.mean()] * 2, color=colors[name], linewidth=2)
        if len(sound) < len(numbers):
            at: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "rotation": 90, "va": "top", "color": INK}
            axes.annotate("diverged", (place, 0.98), **at)
    upright = len(values) > CROWDED or max(map(len, values)) > 12
    axes.set_xticks(
        range(len(values)), list(values), rotation=60 if upright else 0, ha="right" if upright else "center"
    )
    axes.set_xlim(-0.6, len(values) - 0.4)
    write(figure, path)
