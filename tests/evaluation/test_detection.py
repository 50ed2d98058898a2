"""Measures of detection against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from jaxvae.evaluation.detection import auroc, average_precision, bootstrap, fpr_at_tpr, roc

RNG = np.random.default_rng(0)
CASES = {
    "apart": (RNG.normal(0, 1, 50), RNG.normal(1, 1, 30)),
    "with ties": (RNG.integers(0, 6, 60), RNG.integers(2, 9, 25)),
    "all equal": (np.zeros(5), np.zeros(3)),
    "reversed": (np.arange(9.0) + 10, np.arange(4.0)),
    "infinite": (np.arange(5.0), np.array([2.0, np.inf, np.inf])),
}


@pytest.fixture(params=CASES)
def scores(request):
    return CASES[request.param]


def labelled(normal, anomalies):
    both = np.nan_to_num(np.concatenate([normal, anomalies]).astype(float), posinf=1e9)
    return np.repeat([0, 1], [len(normal), len(anomalies)]), both


def test_measures_are_those_of_scikit_learn(scores):
    assert auroc(*scores) == pytest.approx(roc_auc_score(*labelled(*scores)))
    assert average_precision(*scores) == pytest.approx(average_precision_score(*labelled(*scores)))
    alarms, found, _ = roc_curve(*labelled(*scores), drop_intermediate=False)
    np.testing.assert_allclose(roc(*scores).found, found)
    np.testing.assert_allclose(roc(*scores).false_alarms, alarms)
    for tpr in (0.5, 0.95, 1.0):
        assert fpr_at_tpr(*scores, tpr) == pytest.approx(alarms[found >= tpr - 1e-12].min())


def test_the_interval_of_a_bootstrap_has_the_spread_of_new_samples():
    rng = np.random.default_rng(1)
    draw = lambda: (rng.normal(0, 1, 80), rng.normal(1, 1, 80))  # noqa: E731
    values = [auroc(*draw()) for _ in range(400)]
    found = bootstrap(auroc, *draw())
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(4 * np.std(values), rel=0.25)
