"""Which features samples of a run are compared in, and what they are compared with."""

import dataclasses

import numpy as np
import pytest

import jaxvae as jv
from jaxvae import UserError
from jaxvae.applications.classification import class_features
from jaxvae.capabilities import Generates
from jaxvae.reports import samples as module
from jaxvae.reports.samples import Features, evaluate_samples, features_for, own_images, samples_of
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset, DataSpec, Samples, Splits, System, Trainable

SPEC = DataSpec((4, 4, 1), 256, 0)
IMAGES = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 1), np.uint8)


def draw(key, params, model_state, num):
    """Real images, the first ones, as floats."""
    return Samples(IMAGES[:num] / np.float32(255), None)


def to_unit(keys, x):
    return x.astype("float32") / 255


def trained():
    system = System("toy", SPEC, to_unit, Trainable(None, (), None, {}), (Generates(draw),))
    return Trained(system, {}, {}, {"config": {}, "data": "0123"}, None)


def test_components_are_those_of_the_training_images_and_keep_distances():
    train = Dataset(np.concatenate([IMAGES, IMAGES]), None)
    features = features_for(trained(), train)
    x = IMAGES / 255.0
    assert features.name == "16 principal components of pixels"
    found, rows = features.of_images(x), x.reshape(60, -1)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
    near = np.linalg.norm(rows[:, None] - rows, axis=2)
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found, axis=2), near, atol=1e-3)


def test_samples_are_measured_beside_other_real_images():
    features = Features("pixels", lambda x: np.asarray(x).reshape(len(x), -1))
    real, others = IMAGES[:30] / np.float32(255), IMAGES[30:55] / np.float32(255)
    found, beside = (evaluate_samples(features, x, real) for x in (samples_of(trained(), 30), others))
    assert (found["num_samples"], found["num_real"], beside["num_samples"]) == (30, 30, 25)
    assert found["frechet_distance"] == pytest.approx(0, abs=1e-5)  # the same images
    assert beside["frechet_distance"] > 0.1
    assert found["coverage"] == found["precision"] == 1.0
    assert found["sharpness"] == pytest.approx(1.0)
    assert "recognised_samples" not in found


def test_means_are_drawn_where_there_are_any():
    x = IMAGES / np.float32(255)
    use = (Generates(lambda key, params, state, num: Samples(x[:num], 1 - x[:num])),)
    of_means = dataclasses.replace(trained(), system=trained().system._replace(use=use))
    np.testing.assert_array_equal(samples_of(of_means, 5), 1 - x[:5])
    np.testing.assert_array_equal(samples_of(of_means, 5, means=False), x[:5])
    np.testing.assert_array_equal(samples_of(trained(), 5), x[:5])
    with pytest.raises(UserError, match="toy has no means of its samples"):
        samples_of(trained(), 5, means=True)


def test_own_images_are_test_images_and_as_many_of_the_training_as_samples(monkeypatch):
    splits = Splits(Dataset(IMAGES[:40], None), Dataset(IMAGES[40:50], None), Dataset(IMAGES[50:], None))
    real, others = own_images(trained(), splits)
    np.testing.assert_allclose(real, IMAGES[50:] / 255.0, rtol=1e-6)
    assert len(others) == 10
    real, others = own_images(trained(), splits, 25)
    assert (len(real), len(others)) == (10, 25)
    monkeypatch.setattr(module, "MOST_IMAGES", 5)
    assert len(own_images(trained(), splits)[0]) == 5


@pytest.mark.slow
def test_channels_of_stacked_images_are_judged_one_by_one():
    splits, spec = jv.data.load("stacked:digits")
    images = splits.test.x / np.float32(255)
    use = (Generates(lambda key, params, state, num: Samples(images[:num], None)),)
    system = System("toy", spec, to_unit, Trainable(None, (), None, {}), use)
    run = Trained(system, {}, {}, {"config": {"data": "stacked:digits"}, "data": "0123"}, None)
    features = features_for(run, splits.train)
    x = features.of_images(images[:7])
    one = jv.load("digits-classifier")
    alone = class_features(one.system, one.params, one.model_state, Dataset(splits.test.x[:7, ..., 1:2], None))
    assert x.shape == (7, 3 * alone.shape[1])
    found = evaluate_samples(features, samples_of(run, 1_000), images[:300])
    assert found["num_samples"] == 1_000
    assert found["modes"] < 1_000
    right = splits.test.labels[:1_000]
    assert abs(found["modes"] - len(np.unique(right))) < 0.03 * 1_000
