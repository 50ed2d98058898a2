"""The figure of a sweep: how its members learnt, and what each setting did."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.errors import check_shape
from jaxvae.viz.canvas import BLUE, INK, MUTED, ORANGE, figure_of, styled, write

LOGARITHMIC_FROM = 20.0  # ratio of the largest to the smallest value of a setting


def save_sweep(
    path: str | Path,
    settings: Sequence[Mapping[str, float]],
    losses: Sequence[float],
    curves: Sequence[tuple[Sequence[int], Sequence[float]]],
) -> None:
    """Draw the validation curves of all members, and their best losses against each setting that varies.

    Args:
      path: PNG file to write.
      settings: what each of M members was given, name -> value.
      losses: the best validation loss of each, [M], nats per image; inf for one that diverged before any.
      curves: steps and validation losses of each, M pairs.
    """
    losses_ = np.asarray(losses, np.float64)
    check_shape("losses", losses_, (len(settings),))
    varied = [name for name in settings[0] if len({row[name] for row in settings}) > 1]
    figure = figure_of(6.4 + 3.4 * len(varied), 4.4)
    panels = figure.subplots(1, 1 + len(varied), squeeze=False, width_ratios=[1.7] + [1.0] * len(varied))[0]
    best = int(np.argmin(losses_))

    axes = styled(panels[0], f"{len(settings)} members", "step", "validation loss [nats per image]")
    for i, (steps, values) in enumerate(curves):
        style: dict[str, Any]
        style = {"color": ORANGE, "linewidth": 1.8, "zorder": 3} if i == best else {"color": MUTED, "linewidth": 0.9}
        axes.plot(steps, values, **style)
    chosen = ", ".join(f"{name} {settings[best][name]:g}" for name in varied)
    axes.plot([], [], color=ORANGE, label=f"best: {chosen}")
    axes.legend(frameon=False, loc="upper right")
    late = [value for _, values in curves for value in list(values)[len(values) // 10 :] if np.isfinite(value)]
    if late:
        low, high = min(late), float(np.percentile(late, 95))
        axes.set_ylim(low - 0.06 * (high - low) - 1e-3, high + 0.15 * (high - low) + 1e-3)

    sound = np.isfinite(losses_)
    for panel, name in zip(panels[1:], varied, strict=True):
        given = np.array([row[name] for row in settings], np.float64)
        axes = styled(panel, name, name, "best validation loss")
        axes.plot(given[sound], losses_[sound], "o", color=BLUE, markersize=6, alpha=0.7)
        axes.plot(given[best], losses_[best], "o", color=ORANGE, markersize=9)
        for value in given[~sound]:
            place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "rotation": 90, "va": "top"}
            axes.annotate("diverged", (value, 0.98), color=INK, **place)
        if given.min() > 0 and given.max() / given.min() >= LOGARITHMIC_FROM:
            axes.set_xscale("log")
        ticks = np.unique(given)
        if len(ticks) <= 6:
            axes.set_xticks(ticks, [f"{value:g}" for value in ticks])
            axes.set_xticks([], minor=True)
    write(figure, path)
