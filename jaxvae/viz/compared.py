"""The training curves of several runs over each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.viz.canvas import MUTED, figure_of, styled, write
from jaxvae.viz.curves import robust_limits

LABELS = {"loss": "Loss", "reconstruction": "Reconstruction, $-$log p(x | z)", "kl": "KL"}


def save_compared(path: str | Path, runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Draw what several runs reached on the validation set against the step, and in the training faintly behind.

    A metric that two runs have gets a panel, the loss always.

    Args:
      path: PNG file to write.
      runs: lines of `metrics.jsonl` by the name of the run, see `save_curves`.

    Raises:
      ValueError: if no run has a loss.
    """
    having = {metric: [name for name, lines in runs.items() if any(metric in r for r in lines)] for metric in LABELS}
    if not having["loss"]:
        raise ValueError("No run has records of its loss, expected one at least.")
    metrics = [metric for metric, names in having.items() if metric == "loss" or len(names) > 1]
    figure = figure_of(4.9 * len(metrics) + 0.4, 4.2)
    colors = {name: f"C{i % 10}" for i, name in enumerate(runs)}
    for number, metric in enumerate(metrics):
        axes = styled(figure.add_subplot(1, len(metrics), number + 1), LABELS[metric], "step", "nats per image")
        axes.set_title("faint: training", loc="right", fontsize=8, color=MUTED)
        drawn = []
        for name in having[metric]:
            for part, options in (("train", {"linewidth": 0.8, "alpha": 0.35}), ("valid", {"linewidth": 1.6})):
                lines = [(r["step"], r[metric]) for r in runs[name] if r.get("part") == part and metric in r]
                if lines:
                    steps, values = np.array(lines, np.float64).T
                    label = name if part == "valid" else None
                    axes.plot(steps, values, color=colors[name], label=label, **options)
                    drawn.append((steps, values))
        axes.set_ylim(*robust_limits(*np.concatenate(drawn, axis=1)))
        axes.locator_params(axis="x", nbins=5, integer=True)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        if number == 0:
            axes.legend(frameon=False, fontsize=8)
    write(figure, path)
