"""Detectors with the manners of scikit-learn, their promise, and their files."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

import jaxvae as jv
from jaxvae.applications.anomaly.thresholds import false_alarm_band
from jaxvae.runs.detector import AnomalyDetector, split_rows
from jaxvae.runs.records import run_record
from jaxvae.runs.trained import Trained
from tests.linear import linear_images, linear_system


def linear():
    system, params = linear_system()
    return Trained(system, params, {}, run_record(system, {}, 10))


TRAINED, NORMAL, NEW = linear(), linear_images(120, seed=1), linear_images(40, seed=2)
STRANGE = np.float32(np.random.default_rng(0).random((5, 2, 3, 1)))


@pytest.fixture(scope="module")
def detector():
    return AnomalyDetector(TRAINED).fit(NORMAL)


def test_it_has_the_manners_of_scikit_learn(detector):
    scores = detector.score_samples(np.concatenate([NEW, STRANGE]))
    assert scores.shape == (45,)
    assert scores.dtype == np.float64
    assert scores[40:].max() < np.median(scores[:40])  # larger is more normal
    found = detector.predict(np.concatenate([NEW, STRANGE]))
    np.testing.assert_array_equal(found, np.where(scores < -detector.threshold_, -1, 1))
    np.testing.assert_allclose(detector.decision_function(NEW), detector.score_samples(NEW) + detector.threshold_)
    np.testing.assert_array_equal(found[40:], -1)
    np.testing.assert_array_equal(detector.p_values(NEW) <= 0.05, found[:40] == -1)


def test_it_says_all_there_is_of_images(detector):
    found = detector.detect(STRANGE)
    assert set(found.scores) == {"score", "nearest_pixels", "pca", "compressed_size"} == set(found.p)
    np.testing.assert_array_equal(found.scores["score"], -detector.score_samples(STRANGE))
    assert found.verdicts.tolist() == ["anomaly"] * 5
    assert found.maps.shape == (5, 2, 3)
    assert len(found.boxes) == 5


def test_false_alarms_are_as_many_as_were_promised():
    """Over twenty fits to images of their own, each compared with the band of its number."""
    alarms, inside = [], 0
    for seed in range(20):
        one = AnomalyDetector(TRAINED, "likelihood+neighbours", num_samples=2, seed=seed).fit(
            linear_images(80, 10 + seed)
        )
        alarms.append(int((one.predict(linear_images(100, 50 + seed)) == -1).sum()))
        low, high = false_alarm_band(0.05, 40, 100)
        inside += low <= alarms[-1] <= high
    assert inside >= 17
    assert np.mean(alarms) == pytest.approx(5, abs=2.5)  # 4.9 of 100 are expected


def test_the_same_seed_and_fewer_images_give_the_same(detector):
    again = AnomalyDetector(TRAINED).fit(NORMAL)
    np.testing.assert_array_equal(again.score_samples(NEW), detector.score_samples(NEW))
    np.testing.assert_allclose(detector.score_samples(NEW[:3]), detector.score_samples(NEW)[:3], rtol=1e-3, atol=1e-3)
    other = AnomalyDetector(TRAINED, seed=1).fit(NORMAL)
    assert other.threshold_ != detector.threshold_


def test_images_that_calibrate_are_others_than_those_that_are_fitted_to():
    for num, alpha in ((120, 0.05), (30, 0.05), (9, 0.05), (40, 0.01), (4, 0.5)):
        fitting, calibrating = split_rows(num, alpha, 0)
        assert sorted([*fitting, *calibrating]) == list(range(num))
        assert len(fitting) >= min(10, num // 2)
    assert len(split_rows(30, 0.05, 0)[1]) == 19  # enough for a verdict
    assert len(split_rows(120, 0.05, 0)[1]) == 60


def test_images_for_calibration_can_be_given():
    found = AnomalyDetector(TRAINED, "kl").fit(NORMAL, calibration=NEW)
    assert found.num_fitted_ == 120
    assert len(found.calibration_["score"]) == 40


def test_classes_of_normal_images_count():
    y = np.arange(120) % 2
    both = [AnomalyDetector(TRAINED, "mahalanobis").fit(NORMAL, labels) for labels in (y, None)]
    assert np.abs(both[0].score_samples(NEW) - both[1].score_samples(NEW)).max() > 0
    unknown = AnomalyDetector(TRAINED, "mahalanobis").fit(NORMAL, np.where(y, 1, -1))
    np.testing.assert_array_equal(unknown.score_samples(NEW), both[1].score_samples(NEW))


def test_a_file_keeps_it_bit_for_bit(detector, tmp_path):
    place = detector.save(tmp_path / "new" / "d.npz")
    found = AnomalyDetector.load(place, TRAINED)
    np.testing.assert_array_equal(found.score_samples(NEW), detector.score_samples(NEW))
    assert (found.threshold_, found.alpha, found.score) == (detector.threshold_, detector.alpha, detector.score)
    assert (found.map_level_, found.num_fitted_) == (detector.map_level_, 60)
    strict = AnomalyDetector.load(place, TRAINED, alpha=0.02)
    assert strict.threshold_ > found.threshold_
    with pytest.raises(jv.UserError, match="There is .*d.npz already"):
        detector.save(place)
    assert detector.save(place, overwrite=True) == place
    assert [path.name for path in place.parent.iterdir()] == ["d.npz"]


def test_a_detector_of_another_model_is_refused(detector, tmp_path):
    place = detector.save(tmp_path / "d.npz")
    params = {**TRAINED.params, "decoder": {"dense": {"kernel": jnp.ones((2, 6)), "bias": jnp.zeros(6)}}}
    with pytest.raises(jv.UserError, match="is a detector of another model, linear of hash [0-9a-f]{16}, not linear"):
        AnomalyDetector.load(place, dataclasses.replace(TRAINED, params=params))


def test_files_that_are_no_detector_are_one_sentence(detector, tmp_path):
    place = detector.save(tmp_path / "d.npz")
    arrays = dict(np.load(place))
    about = json.loads(str(arrays["about"]))
    bad = tmp_path / "bad.npz"
    for changes, message in (
        ({"about": np.array("{}")}, "is no detector, or damaged"),
        ({"about": np.array("no JSON")}, "is no detector, or damaged"),
        ({"about": np.array(json.dumps(about | {"format": 99}))}, "is of format 99, this jaxvae reads 1"),
        ({"about": np.array(json.dumps(about | {"parts": ["strange"]}))}, "There is no score 'strange'"),
        ({"calibration/pca": None}, "is no detector, or damaged"),
    ):
        np.savez(bad, **{name: array for name, array in (arrays | changes).items() if array is not None})
        with pytest.raises(jv.UserError, match=message):
            AnomalyDetector.load(bad, TRAINED)
    place.write_bytes(place.read_bytes()[:-30])
    with pytest.raises(jv.UserError, match="is not a whole .npz file"):
        AnomalyDetector.load(place, TRAINED)
    with pytest.raises(jv.UserError, match="does not exist"):
        AnomalyDetector.load(tmp_path / "nowhere.npz", TRAINED)


def test_too_few_images_give_scores_and_no_verdict():
    few = AnomalyDetector(TRAINED, "kl").fit(NORMAL[:20])
    assert not few.decides
    assert few.detect(NEW[:2]).verdicts.tolist() == ["undecided"] * 2
    for decide in (few.predict, few.decision_function):
        with pytest.raises(jv.UserError, match="10 normal images calibrate, too few for alpha 0.05: expected 19 or"):
            decide(NEW)


def test_mistakes_are_one_sentence(detector):
    with pytest.raises(jv.UserError, match="3 normal images are too few: expected at least 4"):
        AnomalyDetector(TRAINED).fit(NORMAL[:3])
    with pytest.raises(jv.UserError, match="call fit"):
        AnomalyDetector(TRAINED).predict(NEW)
    with pytest.raises(jv.UserError, match="alpha is 2"):
        AnomalyDetector(TRAINED, alpha=2)
    with pytest.raises(jv.UserError, match="num_samples is 0"):
        AnomalyDetector(TRAINED, num_samples=0)
    with pytest.raises(jv.UserError, match=r"labels have shape \[2\], expected one for each of 120"):
        AnomalyDetector(TRAINED).fit(NORMAL, [1, 2])
    with pytest.raises(jv.UserError, match="The images are of 4x4 pixels"):
        detector.predict(np.zeros((2, 4, 4, 1), np.float32))
