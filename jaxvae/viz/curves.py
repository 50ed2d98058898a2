"""Training curves: losses and bounds against the step."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.errors import check_shape
from jaxvae.viz.canvas import BLUE, ORANGE, figure_of, plot, styled, write

# Panels of the training curves: metric, title, unit.
_PANELS = (
    ("loss", "Loss", "nats per image"),
    ("elbo", "ELBO", "nats per image"),
    ("reconstruction", "Reconstruction, $-$log p(x | z)", "nats per image"),
    ("kl", "KL", "nats per image"),
    ("loss_discriminator", "Loss of the discriminator", "nats"),
    ("loss_generator", "Loss of the generator", "nats"),
    ("loss_encoder", "Loss of the encoder", "nats"),
    ("loss_autoencoder", "Loss of the autoencoder", "nats per image"),
    ("energy_score", "Energy score of samples", "distance of pixels"),
)


def save_curves(path: str | Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Draw losses, ELBO, reconstruction and KL against the step; what was not recorded has no panel.

    The range of a panel is that of the later nine tenths of the training, so that its first steps do not flatten the
    rest. A loss that is the negative ELBO is not drawn a second time.

    Args:
      path: PNG file to write.
      records: lines of `metrics.jsonl`, {"step": int, "part": "train" or "valid", metric: float, ...}.

    Raises:
      ValueError: if no metric of a panel was recorded.
    """
    panels = [panel for panel in _PANELS if any(panel[0] in record for record in records)]
    if not panels:
        raise ValueError(
            f"None of {', '.join(panel[0] for panel in _PANELS)} is in the records, expected one at least."
        )
    both = [(record["loss"], record["elbo"]) for record in records if "loss" in record and "elbo" in record]
    if len(panels) > 1 and both and all(math.isclose(loss, -elbo, rel_tol=1e-4) for loss, elbo in both):
        panels = [panel for panel in panels if panel[0] != "loss"]
    columns = 2 if len(panels) in (2, 4) else min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = figure_of(4.6 * columns + 0.4, 3.5 * rows)
    for number, (metric, title, unit) in enumerate(panels):
        axes = styled(figure.add_subplot(rows, columns, number + 1), title, "step", unit)
        drawn = []
        for part, color in (("train", BLUE), ("valid", ORANGE)):
            lines = [(r["step"], r[metric]) for r in records if r.get("part") == part and metric in r]
            if lines:
                steps, values = np.array(lines, np.float64).T
                marker = "o" if len(steps) <= 40 else ""
                label = f"{part}, last {values[-1]:,.2f}".replace("-", "\N{MINUS SIGN}")
                axes.plot(steps, values, color=color, linewidth=1.5, marker=marker, markersize=3.5, label=label)
                drawn.append((steps, values))
        if drawn:
            low, high = robust_limits(*np.concatenate(drawn, axis=1))
            if metric == "kl":  # from 0, which a collapse is near
                low, high = min(low, 0.0), 1.06 * high
            axes.set_ylim(low, high)
            axes.legend(frameon=False, fontsize=8)
        axes.locator_params(axis="x", nbins=5, integer=True)
        axes.xaxis.set_major_formatter("{x:,.0f}")
    write(figure, path)


def save_losses(path: str | Path, curves: Mapping[str, Sequence[tuple[Any, Any]]]) -> None:
    """Draw training losses of several kinds of runs, whole and without their first record, which hides the rest.

    Args:
      path: PNG file to write.
      curves: kind -> (steps [N], losses [N], nats) of each of its runs.

    Raises:
      ValueError: if a run has a single record, of which nothing is left.
    """
    figure = figure_of(9.6, 3.9)
    panels = figure.subplots(1, 2)
    for panel, title, first in zip(panels, ("Training loss", "without its first record"), (0, 1), strict=True):
        axes = styled(panel, title, "step", "loss [nats]")
        for index, (kind, runs) in enumerate(curves.items()):
            for number, (steps, losses) in enumerate(runs):
                steps, losses = np.asarray(steps), np.asarray(losses, np.float64)
                check_shape(f"losses of {kind}", losses, steps.shape)
                if len(steps) < 2:
                    raise ValueError(f"A run of {kind} has {len(steps)} records of its loss, expected two at least.")
                label = kind if number == 0 else None
                axes.plot(steps[first:], losses[first:], color=f"C{index}", linewidth=1.1, alpha=0.8, label=label)
        axes.locator_params(axis="x", nbins=5, integer=True)
        axes.legend(frameon=False, fontsize=9)
    write(figure, path)


def save_stages(path: str | Path, curves: Mapping[str, tuple[Any, Any]], ylabel: str) -> None:
    """Draw what trainings one after another reach, on one axis of steps.

    Args:
      path: PNG file to write.
      curves: name of a stage -> (steps since the first began [N], values [N]).
      ylabel: quantity and unit of the values.
    """
    figure, axes = plot("Stage by stage", "steps of all stages so far", ylabel, width=8.0, height=4.6)
    for name, (steps, values) in curves.items():
        check_shape(name, np.asarray(values), np.shape(steps))
        axes.plot(steps, values, "o-", markersize=3, linewidth=1.6, label=name)
    points = [np.concatenate([np.ravel(curve[axis]) for curve in curves.values()]) for axis in (0, 1)]
    axes.set_ylim(*robust_limits(points[0].astype(float), points[1].astype(float)))
    axes.legend(frameon=False)
    write(figure, path)


def robust_limits(steps: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return a range of y that shows how training went on, whatever its first values and single spikes were."""
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    if not len(values):
        return 0.0, 1.0
    later = values[steps >= steps.min() + 0.1 * (steps.max() - steps.min())] if len(values) >= 10 else values
    low, high = np.percentile(later, [1, 99])
    spread = 0.3 * (high - low)
    low, high = max(low - spread, values.min()), min(high + spread, values.max())
    margin = 0.06 * (high - low) or 0.5
    return float(low - margin), float(high + margin)
