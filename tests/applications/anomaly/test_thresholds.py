"""Conformal thresholds: by hand, and by simulation of what they promise."""

import numpy as np
import pytest
from scipy.stats import betabinom

from jaxvae import UserError
from jaxvae.applications.anomaly.thresholds import (
    conformal_p_values,
    false_alarm_band,
    smallest_calibration,
    threshold,
)


def test_p_values_by_hand():
    found = conformal_p_values([3.0, 1.0, 2.0], [0.0, 1.0, 2.5, 3.0, 9.0, np.nan, np.inf])
    np.testing.assert_allclose(found, [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25])


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.07, 0.1, 0.29, 0.5, 0.9])
@pytest.mark.parametrize("num", [1, 3, 19, 20, 57, 99, 100])
def test_a_threshold_and_p_values_say_the_same(alpha, num):
    calibration = np.random.default_rng(0).integers(0, 30, num).astype(float)  # with ties
    scores = np.linspace(-1, 31, 321)
    is_strange = conformal_p_values(calibration, scores) <= alpha + 1e-12
    found = threshold(calibration, alpha)
    if found is None:
        assert not is_strange.any()
        assert num < smallest_calibration(alpha)
    else:
        np.testing.assert_array_equal(scores > found, is_strange)
        assert num >= smallest_calibration(alpha)


@pytest.mark.parametrize(
    ("alpha", "num"), [(0.05, 19), (0.01, 99), (0.1, 9), (0.5, 1), (0.3, 3), (0.999, 1), (0.07, 14)]
)
def test_the_smallest_calibration_set(alpha, num):
    assert smallest_calibration(alpha) == num


@pytest.mark.parametrize(("alpha", "num"), [(0.05, 19), (0.05, 150), (0.1, 64)])
def test_normal_images_are_called_anomalous_as_often_as_was_promised(alpha, num):
    rng, new, repetitions = np.random.default_rng(1), 200, 4_000
    scores = rng.gamma(2.0, size=(repetitions, num + new))
    alarms = np.array([np.sum(one[num:] > threshold(one[:num], alpha)) for one in scores])
    assert alarms.mean() / new <= alpha + 4 * alarms.std() / new / repetitions**0.5

    low, high = false_alarm_band(alpha, num, new)
    inside = np.mean((alarms >= low) & (alarms <= high))
    rank = int(alpha * (num + 1) + 1e-9)
    expected = betabinom.cdf(high, new, rank, num + 1 - rank) - betabinom.cdf(low - 1, new, rank, num + 1 - rank)
    assert expected >= 0.95
    np.testing.assert_allclose(inside, expected, atol=4 * (0.05 / repetitions) ** 0.5)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_an_impossible_level_is_refused(alpha):
    with pytest.raises(UserError, match="alpha is .*expected more than 0 and less than 1"):
        threshold([1.0, 2.0], alpha)


def test_what_calibrates_nothing_is_refused():
    with pytest.raises(UserError, match="no normal images to calibrate"):
        conformal_p_values([], [1.0])
    with pytest.raises(UserError, match="not a number"):
        threshold([1.0, np.nan], 0.5)
    with pytest.raises(UserError, match="18 calibration images are too few for alpha 0.05: expected at least 19"):
        false_alarm_band(0.05, 18, 10)
