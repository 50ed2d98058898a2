"""Figures of densities in the plane: what a flow was to learn, what it learned, and on which way."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.errors import check_shape
from jaxvae.viz.canvas import BLUE, INK, MUTED, ORANGE, figure_of, styled, write


def save_densities(
    path: str | Path,
    name: str,
    target: Any,
    rows: Sequence[tuple[str, Any, Mapping[int, Any]]],
    half_width: float,
) -> None:
    """Draw a row for each flow: the target, the learned density, draws, and the draws after parts of the layers.

    Args:
      path: PNG file to write.
      name: of the target.
      target: density on a grid, [G, G]: entry [i, j] is of (axis[i], axis[j]).
      rows: of each flow its title, its density on the same grid, and draws [N, 2] after a number of layers, the last of
        which are the flow's own.
      half_width: of the square that is drawn, around 0.
    """
    target = np.asarray(target)
    check_shape("target", target, (None, target.shape[0]))
    columns = 2 + max(len(stages) for *_, stages in rows)
    figure = figure_of(2.05 * columns, 2.35 * len(rows) + 0.3)
    panels = figure.subplots(len(rows), columns, squeeze=False)
    box = (-half_width, half_width, -half_width, half_width)
    for line, (title, density, stages) in zip(panels, rows, strict=True):
        for axes in line:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_xlim(*box[:2])
            axes.set_ylim(*box[2:])
            axes.set_aspect("equal")
            axes.spines[:].set_color(MUTED)
        for axes, values, label in ((line[0], target, name), (line[1], np.asarray(density), "learned density")):
            check_shape("density", values, target.shape)
            axes.imshow(values.T, origin="lower", extent=box, cmap="viridis", interpolation="bilinear")
            axes.set_title(label, fontsize=9, color=INK)
        line[0].set_ylabel(title, fontsize=8, color=INK)
        for axes, (layers, points) in zip(line[2:], stages.items(), strict=False):
            color = ORANGE if layers == max(stages) else BLUE
            axes.scatter(*np.asarray(points).T, s=1.2, color=color, alpha=0.5, linewidths=0)
            axes.set_title(f"draws after {layers}", fontsize=9, color=INK)
        for axes in line[2 + len(stages) :]:
            axes.set_axis_off()
    write(figure, path)


def save_restarts(path: str | Path, rows: Sequence[Mapping[str, Any]], label: str) -> None:
    """Draw the KL that flows reach against their number of layers, a panel for each target.

    Args:
      path: PNG file to write.
      rows: with target, base, num_flows, best, median and worst, of several starts.
      label: of the divergence, as "KL(q || p)".
    """
    targets = list(dict.fromkeys(row["target"] for row in rows))
    bases = list(dict.fromkeys(row["base"] for row in rows))
    columns = min(3, len(targets))
    lines = -(-len(targets) // columns)
    figure = figure_of(3.7 * columns, 3.1 * lines)
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
    for axes, target in zip(panels, targets, strict=False):
        styled(axes, target, "layers", f"{label} [nats]")
        for base, color in zip(bases, (BLUE, ORANGE), strict=False):
            chosen = sorted(
                (r for r in rows if (r["target"], r["base"]) == (target, base)), key=lambda r: r["num_flows"]
            )
            x = [row["num_flows"] for row in chosen]
            floor = 1e-5  # of a logarithmic axis; an estimate can fall below 0
            best, median, worst = (
                np.array([max(row[name], floor) for row in chosen], np.float64) for name in ("best", "median", "worst")
            )
            axes.plot(x, median, "o-", color=color, markersize=4, label=f"{base} base: median, best to worst")
            axes.fill_between(x, best, worst, color=color, alpha=0.18, linewidth=0)
        axes.set_yscale("log")
        ticks = sorted({row["num_flows"] for row in rows})
        axes.set_xticks(ticks)
    panels[0].legend(frameon=False, fontsize=8)
    for axes in panels[len(targets) :]:
        axes.set_axis_off()
    write(figure, path)
