"""How well scores tell anomalies from normal images: ROC curves and histograms."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.viz.canvas import BLUE, FAINT, INK, ORANGE, figure_of, plot, styled, write

MOST = 1e100  # in place of infinity
WIDTHS = 3.0  # of the range of normal scores, after which the last bar is


def save_roc(path: str | Path, panels: Mapping[str, Mapping[str, tuple[Any, Any]]], dashed: Any = ()) -> None:
    """Draw ROC curves.

    Args:
      path: PNG file to write.
      panels: title -> name of a curve -> false alarms [T] and anomalies found [T], 0 to 1.
      dashed: names of curves that are dashed.
    """
    figure = figure_of(1.5 + 4.2 * len(panels), 4.6)
    for number, (title, curves) in enumerate(panels.items()):
        axes = styled(figure.add_subplot(1, len(panels), number + 1), title, "false alarms", "anomalies found")
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2)
        for name, (alarms, found) in curves.items():
            first = name == next(iter(curves))
            axes.plot(alarms, found, "--" if name in dashed else "-", linewidth=2.2 if first else 1.2, label=name)
        axes.set_aspect("equal")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=9)
    write(figure, path)


def save_scores(path: str | Path, normal: Any, scores: Any, threshold: float | None, name: str) -> None:
    """Draw histograms of how strange normal images and new ones are, with the threshold between.

    Args:
      path: PNG file to write.
      normal: scores of normal images, [n].
      scores: of new ones, [N].
      threshold: above which an image is an anomaly; None where there is none.
      name: of the score.

    What is far beyond the normal images is in the last bar.
    """
    figure, axes = plot("How strange the images are", f"{name}\nlarger is stranger", "share of the images", 7.5, 4.5)
    _bars(axes, {"normal images that calibrate": normal, "images": scores})
    if threshold is not None:
        axes.axvline(threshold, color=INK, linewidth=1.2, label=f"threshold: {threshold:.4g}")
    axes.legend(frameon=False)
    write(figure, path)


def save_score_histograms(path: str | Path, panels: Mapping[str, tuple[Any, Any]], name: str) -> None:
    """Draw histograms of how strange normal test images and anomalies are.

    Args:
      path: PNG file to write.
      panels: title -> scores of normal images [n], and of anomalies [m].
      name: of the score.

    What is far beyond the normal images is in the last bar.
    """
    figure = figure_of(5.0 * len(panels), 4.2)
    for number, (title, (normal, anomalies)) in enumerate(panels.items()):
        axes = styled(figure.add_subplot(1, len(panels), number + 1), title, f"{name}\nlarger is stranger", "share")
        _bars(axes, {"normal": normal, "anomalies": anomalies})
        axes.legend(frameon=False, fontsize=9)
    write(figure, path)


# ---------- private


def _bars(axes: Any, scores: Mapping[str, Any]) -> None:
    """Draw histograms over each other, the first of normal images, whose range is what is shown large."""
    values = {label: np.clip(np.nan_to_num(np.asarray(one, np.float64)), -MOST, MOST) for label, one in scores.items()}
    low, usual = min(one.min() for one in values.values()), next(iter(values.values())).max()
    high = min(max(one.max() for one in values.values()), low + WIDTHS * (usual - low))
    bins = np.linspace(low, high if high > low else low + 1.0, 51)
    for (label, one), color in zip(values.items(), (BLUE, ORANGE), strict=True):
        beyond = f", {num:,} beyond" if (num := int(np.sum(one > high))) else ""
        weights, text = np.full(len(one), 1 / len(one)), f"{label}: {len(one):,}{beyond}"
        axes.hist(np.minimum(one, bins[-1]), bins, weights=weights, color=color, alpha=0.55, label=text)
