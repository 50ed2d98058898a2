"""Measures of many draws at once, against those of one data set."""

import numpy as np
import pytest

from jaxvae.evaluation.detection import auroc, average_precision, bootstrap, fpr_at_tpr
from jaxvae.evaluation.resampling import draw_counts, measures
from tests.evaluation.test_detection import CASES


@pytest.mark.parametrize("name", CASES)
def test_measures_of_counted_images_are_those_of_repeated_ones(name):
    both = [np.asarray(one, np.float64) for one in CASES[name]]
    scores, strange = np.concatenate(both), np.repeat([False, True], [len(one) for one in both])
    counts = np.random.default_rng(0).integers(0, 4, (130, len(scores)))
    counts[0], counts[:, [0, -1]] = 1, 1  # some of each are always there
    found = measures(scores, strange, counts)
    for draw in (0, 1, 129):
        repeated = [np.repeat(scores[kind], counts[draw, kind]) for kind in (~strange, strange)]
        assert found.auroc[draw] == pytest.approx(auroc(*repeated))
        assert found.average_precision[draw] == pytest.approx(average_precision(*repeated))
        assert found.fpr_at_tpr[draw] == pytest.approx(fpr_at_tpr(*repeated))


def test_every_draw_has_as_many_images_of_each_group_and_the_first_is_the_data():
    groups = np.array([0, 0, 0, 2, 2, 7, 7, 7, 7])
    counts = draw_counts(groups, 50)
    assert (counts[0] == 1).all()
    for group, size in ((0, 3), (2, 2), (7, 4)):
        assert (counts[:, groups == group].sum(axis=1) == size).all()
    assert counts[1:].max() > 1
    np.testing.assert_array_equal(counts, draw_counts(groups, 50))


def test_the_interval_is_that_of_the_bootstrap():
    rng = np.random.default_rng(0)
    normal, anomalies = rng.normal(0, 1, 150), rng.normal(1, 1, 60)
    groups = np.repeat([0, 1], [150, 60])
    found = measures(np.concatenate([normal, anomalies]), groups == 1, draw_counts(groups, 1_000))
    interval = bootstrap(auroc, normal, anomalies)
    assert found.auroc[0] == pytest.approx(interval.value)
    np.testing.assert_allclose(np.quantile(found.auroc[1:], [0.025, 0.975]), interval[1:], atol=0.01)
