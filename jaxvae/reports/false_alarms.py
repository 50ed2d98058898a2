"""False alarms among normal test images: whether thresholds keep what they promise."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxvae.applications.anomaly.thresholds import conformal_p_values, false_alarm_band, smallest_calibration
from jaxvae.evaluation.protocols import Protocol
from jaxvae.reports.detection import DEFAULT
from jaxvae.reports.detection_table import Scored

ALPHA, SPLITS, LEVEL = 0.05, 20, 0.95
SPLITTING = 0x66616C73  # beside a seed, so that no draw is that of another use


def false_alarms(protocol: Protocol, scored: Sequence[Scored]) -> dict[str, Any]:
    """Return how many normal test images are called anomalies, where others of them calibrate.

    The normal test images of a model are cut into halves at random, 20 times: one half calibrates the default score,
    which was fitted to training and validation images, the other half is new.

    Args:
      protocol: whose test images they are.
      scored: models with the scores of the test images.

    Returns:
      Level, number of splits, the mean share of false alarms in %, and the share of splits, in %, where their number is
      in the beta-binomial band that has 95 % of such numbers; {} where no model has enough normal images.
    """
    rates, inside = [], []
    for one, scores in scored:
        for normal in sorted({question.normal for question in one.questions}):
            values = scores[DEFAULT][protocol.groups == normal]
            num = len(values) // 2
            if num < smallest_calibration(ALPHA):
                continue
            low, high = false_alarm_band(ALPHA, num, len(values) - num, LEVEL)
            rng = np.random.default_rng([one.seed, normal, SPLITTING])
            for _ in range(SPLITS):
                order = rng.permutation(len(values))
                p = conformal_p_values(values[order[:num]], values[order[num:]])
                count = int((p <= ALPHA).sum())
                rates.append(count / len(p))
                inside.append(low <= count <= high)
    if not rates:
        return {}
    return {
        "alpha": ALPHA,
        "splits": len(rates),
        "mean_percent": round(100 * float(np.mean(rates)), 3),
        "in_band_percent": round(100 * float(np.mean(inside)), 1),
        "in_band_expected_percent": 100 * LEVEL,
    }
