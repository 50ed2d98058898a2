"""Which shipped classifier judges a run's samples, and how it does."""

import numpy as np
import pytest

import jaxvae as jv
from jaxvae.reports.recognition import classifier_of, recognition_metrics
from jaxvae.runs.trained import Trained
from jaxvae.types import DataSpec, System, Trainable


@pytest.mark.parametrize(
    ("data", "shape", "of_fashion", "expected"),
    [
        ("digits", (28, 28, 1), False, "digits-classifier"),
        ("digits", (16, 16, 1), False, None),
        ("idx:anywhere", (28, 28, 1), True, "fashion-classifier"),
        ("idx:anywhere", (28, 28, 1), False, None),
    ],
)
def test_a_classifier_judges_models_of_digits_and_of_its_own_data(data, shape, of_fashion, expected):
    system = System("toy", DataSpec(shape, 256, 10), None, Trainable(None, (), None, {}), ())
    images = jv.load("fashion-classifier").data_hash if of_fashion else "0123"
    assert classifier_of(Trained(system, None, None, {"config": {"data": data}, "data": images}, None)) == expected


@pytest.mark.slow
def test_digits_are_recognised_and_noise_is_not():
    test = jv.data.load("digits")[0].test
    noise = np.random.default_rng(0).random(test.x.shape)
    found = recognition_metrics("digits-classifier", noise, test.x / 255.0)
    assert found["recognised_images"] > 0.95
    assert found["recognised_samples"] < 0.5
    assert found["classifier"] == "digits-classifier"
