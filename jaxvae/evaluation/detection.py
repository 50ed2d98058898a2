"""How well scores tell anomalies from normal images, at any threshold: ROC curve, average precision, intervals."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

RESAMPLINGS = 1_000
TPR = 0.95  # share of the anomalies that is found where the false alarms are counted


class ROC(NamedTuple):
    """The shares that are called anomalous, of normal images and of anomalies, as the threshold falls."""

    false_alarms: np.ndarray  # [T], from 0 to 1
    found: np.ndarray  # [T], from 0 to 1


class Interval(NamedTuple):
    """A number and its interval."""

    value: float
    low: float
    high: float


def roc(normal: Any, anomalies: Any) -> ROC:
    """Return the ROC curve, a point for every score that occurs.

    Args:
      normal: scores of normal images, [n]; larger is stranger.
      anomalies: those of anomalies, [m].
    """
    scores, is_strange = _joined(normal, anomalies)
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(scores[order][1:] != scores[order][:-1]), len(scores) - 1)
    found, alarms = np.cumsum(is_strange[order])[ends], np.cumsum(~is_strange[order])[ends]
    return ROC(np.append(0, alarms) / (~is_strange).sum(), np.append(0, found) / is_strange.sum())


def auroc(normal: Any, anomalies: Any) -> float:
    """Return the probability that an anomaly is stranger than a normal image, ties by half: the area under the ROC.

    Args:
      normal: scores of normal images, [n].
      anomalies: those of anomalies, [m].
    """
    ordered, strange = np.sort(np.asarray(normal, np.float64)), np.asarray(anomalies, np.float64)
    below = np.searchsorted(ordered, strange, side="left") + np.searchsorted(ordered, strange, side="right")
    return float(np.mean(below) / (2 * len(ordered)))


def average_precision(normal: Any, anomalies: Any) -> float:
    """Return the mean precision over the anomalies that are found, in the order of the scores.

    It depends on the share of anomalies among all images; that of a score that says nothing is this share.

    Args:
      normal: scores of normal images, [n].
      anomalies: those of anomalies, [m].
    """
    curve, n, m = roc(normal, anomalies), len(normal), len(anomalies)
    found, alarms = m * curve.found[1:], n * curve.false_alarms[1:]
    return float(np.sum(np.diff(curve.found) * found / (found + alarms)))


def fpr_at_tpr(normal: Any, anomalies: Any, tpr: float = TPR) -> float:
    """Return the share of false alarms at the highest threshold by which a share of the anomalies is found.

    Args:
      normal: scores of normal images, [n].
      anomalies: those of anomalies, [m].
      tpr: that share, above 0 and at most 1.
    """
    curve = roc(normal, anomalies)
    return float(curve.false_alarms[np.searchsorted(curve.found, tpr - 1e-12)])


def bootstrap(
    measure: Callable[[Any, Any], float], normal: Any, anomalies: Any, *, level: float = 0.95, seed: int = 0
) -> Interval:
    """Return a measure with the interval of its values when images are drawn anew from those there are.

    Args:
      measure: (scores of normal images, those of anomalies) -> a number.
      normal: scores of normal images, [n].
      anomalies: those of anomalies, [m].
      level: share of the values inside of the interval.
      seed: of the draws.
    """
    scores = [np.asarray(one, np.float64) for one in (normal, anomalies)]
    rng = np.random.default_rng(seed)
    values = [measure(*(one[rng.integers(0, len(one), len(one))] for one in scores)) for _ in range(RESAMPLINGS)]
    low, high = np.quantile(values, [0.5 * (1 - level), 0.5 * (1 + level)])
    return Interval(measure(*scores), float(low), float(high))


# ---------- private


def _joined(normal: Any, anomalies: Any) -> tuple[np.ndarray, np.ndarray]:
    """All scores, and which are of anomalies."""
    both = [np.asarray(one, np.float64) for one in (normal, anomalies)]
    return np.concatenate(both), np.repeat([False, True], [len(one) for one in both])
