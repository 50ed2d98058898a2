"""Measures of detection when test images are drawn anew: many draws at once, the same for all scores and models.

The interval of a mean over classes needs the same draw in all of them, as their test images are the same.
"""

from typing import Any, NamedTuple

import numpy as np

from jaxvae.evaluation.detection import TPR

RESAMPLINGS = 500
CHUNK = 100  # draws at a time


class Measures(NamedTuple):
    """How well scores tell anomalies from normal images, [R] draws each."""

    auroc: np.ndarray
    average_precision: np.ndarray
    fpr_at_tpr: np.ndarray


def draw_counts(groups: Any, num: int = RESAMPLINGS, seed: int = 0) -> np.ndarray:
    """Draw as many images of every group as it has, with replacement, and count how often each is drawn.

    Args:
      groups: of N images, [N].
      num: R, of draws.
      seed: of the draws.

    Returns:
      [1 + R, N] uint16; the first row has every image once, as the data have it.
    """
    groups, rng = np.asarray(groups), np.random.default_rng(seed)
    counts = np.ones((1 + num, len(groups)), np.uint16)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        for draw in range(1, 1 + num):
            counts[draw, rows] = np.bincount(rng.integers(0, len(rows), len(rows)), minlength=len(rows))
    return counts


def measures(scores: Any, strange: Any, counts: Any) -> Measures:
    """Return AUROC, average precision and false alarms at `detection.TPR`, of images that are counted more than once.

    Args:
      scores: [N], larger is stranger.
      strange: whether each image is an anomaly, [N].
      counts: how often each is counted, [R, N].
    """
    scores, strange = np.asarray(scores, np.float64), np.asarray(strange, bool)
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(scores) - 1)
    counts, is_strange = np.asarray(counts), strange[order]
    chunks = [counts[start : start + CHUNK] for start in range(0, len(counts), CHUNK)]
    parts = [_measures(chunk[:, order], is_strange, ends) for chunk in chunks]
    return Measures(*(np.concatenate(column) for column in zip(*parts, strict=True)))


# ---------- private


def _measures(counts: np.ndarray, is_strange: np.ndarray, ends: np.ndarray) -> Measures:
    """Of images in the order of their scores; `ends` are the last ones of equal scores."""
    found = np.cumsum(counts * is_strange, axis=1, dtype=np.int32)[:, ends]
    alarms = np.cumsum(counts, axis=1, dtype=np.int32)[:, ends] - found
    new = np.diff(found, axis=1, prepend=0)
    num_strange, num_normal = found[:, -1].astype(np.float64), alarms[:, -1].astype(np.float64)
    before = alarms - 0.5 * np.diff(alarms, axis=1, prepend=0)  # ties by half
    above = np.einsum("rt,rt->r", new, before, dtype=np.float64)  # pairs in which the normal image is stranger
    precision = found / np.maximum(found + alarms, 1)
    reached = np.argmax(found >= (TPR - 1e-12) * num_strange[:, None], axis=1)
    return Measures(
        1.0 - above / (num_strange * num_normal),
        np.einsum("rt,rt->r", new, precision) / num_strange,
        np.take_along_axis(alarms, reached[:, None], axis=1)[:, 0] / num_normal,
    )
