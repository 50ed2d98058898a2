"""False alarms of scores whose normal test images are alike, and of some that are not."""

import numpy as np
import pytest

from jaxvae.evaluation.protocols import Asked, Protocol, Question
from jaxvae.reports.detection_table import Scored
from jaxvae.reports.false_alarms import SPLITS, false_alarms
from jaxvae.types import Dataset

NUM = 400
GROUPS = np.repeat([0, 1], [NUM, 100])
QUESTION = Question("one class", "", 0, (1,))


def found(of_model, seeds=range(10), groups=GROUPS):
    protocol = Protocol(Dataset(np.zeros((len(groups), 1)), None), groups, ())
    models = [Asked(f"seed={seed}", seed, None, None, (QUESTION,)) for seed in seeds]
    return false_alarms(protocol, [Scored(one, {"default": of_model(one.seed)}) for one in models])


def test_normal_images_that_are_alike_keep_the_promise():
    row = found(lambda seed: np.random.default_rng(seed).normal(size=len(GROUPS)) + 9 * GROUPS)
    assert row["splits"] == 10 * SPLITS
    assert row["mean_percent"] == pytest.approx(5.0, abs=0.5)  # at most 5 % on average, and 10 / 201 here
    assert row["in_band_percent"] >= 85


def test_ties_are_no_false_alarms():
    row = found(lambda seed: np.zeros(len(GROUPS)))
    assert row["mean_percent"] == 0


def test_too_few_normal_images_have_no_row():
    groups = np.repeat([0, 1], [30, 100])
    assert found(lambda seed: np.arange(130.0), groups=groups) == {}
