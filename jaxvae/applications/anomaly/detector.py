"""A detector: a score and its floors fitted to normal images, with scores of other normal ones as its calibration."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxvae.applications.anomaly.combination import fit_score, score_images
from jaxvae.applications.anomaly.floors import FLOORS, Fitted
from jaxvae.applications.anomaly.maps import anomaly_maps, normal_level
from jaxvae.applications.anomaly.seen import Seen
from jaxvae.applications.anomaly.thresholds import conformal_p_values, smallest_calibration

SCORE = "score"
NORMAL, ANOMALY, UNDECIDED = "normal", "anomaly", "undecided"


class Detector(NamedTuple):
    """What detects anomalies, as arrays."""

    parts: tuple[str, ...]  # names of the scores
    fitted: Mapping[str, np.ndarray]  # by "PART/NAME"
    calibration: Mapping[str, np.ndarray]  # scores of normal images that nothing was fitted to: "score", and the floors
    level: float  # of maps: see `maps.normal_level`


def fit_detector(parts: Sequence[str], fitting: Seen, calibrating: Seen) -> Detector:
    """Fit a detector to normal images.

    Args:
      parts: names of scores: see `combination.parts_of`.
      fitting: images that the score is fitted to.
      calibrating: other normal images, which neither the score nor the model knows, for the threshold.

    Returns:
      The detector.
    """
    fitted = {f"{SCORE}/{name}": array for name, array in fit_score(parts, fitting).items()}
    for floor, functions in FLOORS.items():
        fitted |= {f"{floor}/{name}": np.asarray(array) for name, array in functions.fit(fitting).items()}
    unfinished = Detector(tuple(parts), fitted, {}, 0.0)
    level = normal_level(anomaly_maps(calibrating))
    return unfinished._replace(calibration=detect(unfinished, calibrating), level=level)


def detect(detector: Detector, seen: Seen) -> dict[str, np.ndarray]:
    """Return how strange images are, [N] float64 each: the "score", and its floors by their names."""
    own = _below(SCORE, detector.fitted)
    scores = {SCORE: score_images(detector.parts, own, seen)}
    floors = {
        name: np.asarray(floor.of(_below(name, detector.fitted), seen), np.float64) for name, floor in FLOORS.items()
    }
    return scores | floors


def p_values(detector: Detector, scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return how rare such scores are among normal images, [N] each: see `thresholds.conformal_p_values`."""
    return {name: conformal_p_values(detector.calibration[name], values) for name, values in scores.items()}


def verdicts(detector: Detector, p: np.ndarray, alpha: float) -> np.ndarray:
    """Return what images are at a level, [N] strings: "undecided" where the calibration images are too few for it.

    Args:
      detector: whose calibration it is.
      p: p-values of the images, [N].
      alpha: largest share of false alarms among normal images.
    """
    if len(detector.calibration[SCORE]) < smallest_calibration(alpha):
        return np.full(len(p), UNDECIDED)
    return np.where(p <= alpha * (1 + 1e-12), ANOMALY, NORMAL)


# ---------- private


def _below(name: str, fitted: Fitted) -> Fitted:
    return {key.removeprefix(f"{name}/"): array for key, array in fitted.items() if key.startswith(f"{name}/")}
