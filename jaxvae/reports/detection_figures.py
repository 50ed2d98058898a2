"""Figures of a protocol of anomaly detection: ROC curves, histograms, and the images that are ranked worst."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxvae import viz
from jaxvae.applications.anomaly.floors import FLOORS
from jaxvae.data import to_unit
from jaxvae.evaluation.detection import roc
from jaxvae.evaluation.protocols import Protocol, Question
from jaxvae.reports.detection import DEFAULT
from jaxvae.reports.detection_table import Scored, chosen_rows, questions_of

POINTS = 401  # of a mean ROC curve
SHOWN = 12  # images in a row


def draw_detection(
    folder: Path, protocol: Protocol, scored: Sequence[Scored], parts: Sequence[str], num_values: int
) -> None:
    """Draw ROC curves, histograms of the default score, and the images that are ranked worst.

    Args:
      folder: of the figures.
      protocol: what was asked.
      scored: models with their scores.
      parts: of the default score, which are drawn beside it and the floors.
      num_values: of a pixel of the images.
    """
    shown = [name for name in (DEFAULT, *parts, *FLOORS) if name in scored[0].scores]
    grouped: dict[str, list[tuple[Scored, Question]]] = {}
    for model, question in questions_of(scored):
        grouped.setdefault(question.variant, []).append((model, question))
    panels = {name: _curves(protocol, asked, shown) for name, asked in grouped.items()}
    viz.save_roc(folder / "roc.png", panels, tuple(FLOORS))
    first = scored[0].one.seed
    of_first = {name: [pair for pair in asked if pair[0].one.seed == first] for name, asked in grouped.items()}
    histograms = {name: _both(protocol, asked) for name, asked in of_first.items()}
    viz.save_score_histograms(folder / "histogram.png", histograms, "default score")
    for number, (name, asked) in enumerate(of_first.items()):
        place = folder / ("worst.png" if len(of_first) == 1 else f"worst_{number}.png")
        title = f"{name}: the strangest normal test images, and the anomalies that are best hidden"
        viz.save_rows(place, worst_images(protocol, asked, num_values), title)


def worst_images(
    protocol: Protocol, asked: Sequence[tuple[Scored, Question]], num_values: int
) -> dict[str, np.ndarray]:
    """Return rows of images by their names: of every case the strangest normal ones and the least strange anomalies.

    Args:
      protocol: what was asked.
      asked: models and questions.
      num_values: of a pixel.
    """
    rows: dict[str, np.ndarray] = {}
    for model, question in asked:
        chosen, strange = chosen_rows(protocol, question)
        order = np.argsort(model.scores[DEFAULT][chosen], kind="stable")
        ranked, is_strange = chosen[order], strange[order]
        of_case = f"{question.case}: " if question.case else ""
        rows[f"{of_case}normal"] = ranked[~is_strange][::-1][:SHOWN]
        rows[f"{of_case}hidden"] = ranked[is_strange][:SHOWN]
    num = min(map(len, rows.values()))
    return {
        name: np.asarray(to_unit(jnp.asarray(protocol.test.x[some[:num]]), num_values)) for name, some in rows.items()
    }


# ---------- private


def _curves(
    protocol: Protocol, asked: Sequence[tuple[Scored, Question]], names: Sequence[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean shares of anomalies found, over models, at the same shares of false alarms."""
    grid = np.linspace(0.0, 1.0, POINTS)
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name in names:
        found = [np.interp(grid, *roc(*_split(protocol, model.scores, question, name))) for model, question in asked]
        curves[name] = grid, np.mean(found, axis=0)
    return curves


def _both(protocol: Protocol, asked: Sequence[tuple[Scored, Question]]) -> tuple[np.ndarray, np.ndarray]:
    each = [_split(protocol, model.scores, question, DEFAULT) for model, question in asked]
    normal, strange = zip(*each, strict=True)
    return np.concatenate(normal), np.concatenate(strange)


def _split(
    protocol: Protocol, scores: Mapping[str, np.ndarray], question: Question, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of normal images and of anomalies."""
    rows, strange = chosen_rows(protocol, question)
    return scores[name][rows[~strange]], scores[name][rows[strange]]
