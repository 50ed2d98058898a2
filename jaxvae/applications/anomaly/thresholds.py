"""Thresholds that keep their promise: split-conformal p-values of anomaly scores from held-out normal images.

A new normal image is as likely to have any rank among the calibration images as any other. So the share of normal ones
that is called anomalous at level alpha is at most alpha, whatever the score and the data, for any number of images: on
average over calibration sets. Given one calibration set of n images that share is itself random, Beta distributed, and
the number among m new normal images is beta-binomial.

References:
  Vovk, Gammerman & Shafer, "Algorithmic learning in a random world", 2005 (conformal prediction).
  Laxhammar & Falkman, "Conformal prediction for distribution-independent anomaly detection", 2010.
  Bates et al., "Testing for outliers with conformal p-values", 2023, arXiv:2104.08279, sec. 1 and 2.
"""

import math
from typing import Any

import numpy as np

from jaxvae.errors import UserError


def conformal_p_values(calibration: Any, scores: Any) -> np.ndarray:
    """Return the p-value of each score: how rare so strange an image is among normal ones.

      p = (1 + #{i : c_i >= s}) / (n + 1)

    Ties count as stranger, so that the promise holds for scores with ties too. A score of NaN, which says nothing, has
    the smallest p-value that there is.

    Args:
      calibration: scores of normal images that nothing was fitted to, [n], larger is stranger.
      scores: of new images, [m].

    Returns:
      [m], from 1 / (n + 1) to 1.

    Raises:
      UserError: if there is no calibration score, or one is not a number.
    """
    ordered = np.sort(_checked(calibration))
    scores = np.asarray(scores, np.float64)
    as_strange = len(ordered) - np.searchsorted(ordered, scores, side="left")
    return (1.0 + np.where(np.isnan(scores), 0, as_strange)) / (len(ordered) + 1.0)


def threshold(calibration: Any, alpha: float) -> float | None:
    """Return the score above which an image is anomalous at level alpha, None where there are too few images for one.

    It is the score with rank ceil((1 - alpha) (n + 1)) among the calibration images, the smallest t for which all
    s > t have p <= alpha.

    Args:
      calibration: as of `conformal_p_values`, [n].
      alpha: the largest share of false alarms, between 0 and 1.

    Raises:
      UserError: if there is no calibration score, one is not a number, or alpha is impossible.
    """
    check_alpha(alpha)
    ordered = np.sort(_checked(calibration))
    rank = _allowed(alpha, len(ordered))
    return None if rank == 0 else float(ordered[len(ordered) - rank])


def smallest_calibration(alpha: float) -> int:
    """Return how many calibration images a verdict at level alpha needs: the least n with 1 / (n + 1) <= alpha.

    Raises:
      UserError: if alpha is impossible.
    """
    check_alpha(alpha)
    num = max(0, math.ceil(1.0 / alpha) - 2)
    while _allowed(alpha, num) == 0:
        num += 1
    return num


def false_alarm_band(alpha: float, num_calibration: int, num_new: int, level: float = 0.95) -> tuple[int, int]:
    """Return the fewest and most false alarms that are to be expected of m new normal images.

    The number is beta-binomial with parameters (k, n + 1 - k), k = floor(alpha (n + 1)), for scores without ties.

    Args:
      alpha: level of the threshold.
      num_calibration: n.
      num_new: m.
      level: probability that the number is between the two, or is one of them.

    Raises:
      UserError: if alpha is impossible, or n is too small for a verdict.
    """
    from scipy.stats import betabinom

    rank = _allowed(alpha, num_calibration)
    if rank == 0:
        raise UserError(
            f"{num_calibration} calibration images are too few for alpha {alpha:g}: expected at least "
            f"{smallest_calibration(alpha)}."
        )
    low, high = betabinom.interval(level, num_new, rank, num_calibration + 1 - rank)
    return int(low), int(high)


def check_alpha(alpha: float) -> None:
    """Raise a `UserError` unless a level is between 0 and 1."""
    if not 0 < alpha < 1:
        raise UserError(f"alpha is {alpha:g}, expected more than 0 and less than 1: 0.05 for at most 5 % false alarms.")


# ---------- private


def _allowed(alpha: float, num: int) -> int:
    """k: the largest number of (1 + count) that still is at most alpha (n + 1)."""
    # The small addend is for products such as 0.07 * 100, which lie a rounding below a whole number.
    return math.floor(alpha * (num + 1) * (1 + 1e-12))


def _checked(calibration: Any) -> np.ndarray:
    values = np.asarray(calibration, np.float64)
    if values.ndim != 1 or not len(values):
        raise UserError("There are no normal images to calibrate a threshold by: expected one at least.")
    if np.isnan(values).any():
        raise UserError("A calibration score is not a number: leave out the image that it is of.")
    return values
