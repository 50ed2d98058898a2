"""Anomalies by models of every class, of all images, and by floors, in one table."""

import json

import jax
import numpy as np
import pytest

import jaxvae as jv
from experiments.anomaly_detection import Config, ModelConfig, build, model_config, protocol_of
from jaxvae import data
from jaxvae.errors import UserError
from jaxvae.reports import detection
from jaxvae.runs import training
from jaxvae.types import Dataset, Splits
from tests.experiments.conftest import SPEC, run_command

SMALL = ("--latent-dim", 3, "--seeds", 0, 1)


def table_of(folder):
    rows = json.loads((folder / "summary.json").read_text())["detection"]
    return {(row["protocol"], row["variant"], row["score"]): row for row in rows}


@pytest.mark.slow
def test_models_of_all_classes_are_one_program_and_stand_beside_floors(images, tmp_path, capsys, monkeypatch):
    programs, fit = [], training.fit_sweep
    monkeypatch.setattr(
        training, "fit_sweep", lambda *args, **more: programs.append(len(args[2])) or fit(*args, **more)
    )
    folder = run_command("anomaly_detection", *SMALL, out=tmp_path)
    assert programs == [6]
    rows, text = table_of(folder), capsys.readouterr().out
    score = {name: rows["one_class", "one class", name] for name in ("default", "pca", "likelihood", "mahalanobis")}
    assert [one["kind"] for one in score.values()] == ["default", "floor", "other", "part"]
    assert score["pca"]["auroc"] == 1.0  # squares in three places
    assert score["pca"]["auroc_sd"] == 0.0
    for one in score.values():
        assert one["auroc_low"] <= one["auroc"] <= one["auroc_high"]
        assert list(one["auroc_cases"]) == ["0", "1", "2"]
        assert one["auroc"] == pytest.approx(np.mean(list(one["auroc_cases"].values())))
        assert list(one["auroc_seeds"]) == ["0", "1"]
    assert "one_class: 3 classes, 2 seeds, 10 test images" in text
    assert {path.name for path in (folder / "figures").iterdir()} == {"roc.png", "histogram.png", "worst.png"}

    with np.load(folder / "label=1_share=0_seed=1" / detection.FILE) as stored:
        assert len(stored["default"]) == len(images.test.x)
    trained = jv.load(folder / "label=1_share=0_seed=1")
    assert trained.config["seed"] == 1
    of_class = images.train.labels == 1
    assert json.loads((folder / "label=1_share=0_seed=1" / "config.json").read_text())["num_train"] == of_class.sum()


@pytest.mark.slow
def test_a_resumed_run_has_other_protocols_by_the_models_that_are_there(images, tmp_path, monkeypatch):
    folder = run_command("anomaly_detection", "--protocol", "flip", *SMALL, out=tmp_path)
    before = table_of(folder)
    assert {variant for _, variant, _ in before} == {"horizontal flip", "vertical flip"}
    assert before["flip", "vertical flip", "nearest_pixels"]["auroc"] == 0.5  # a square in the middle third is its own

    scored, score = [], detection.model_scores
    monkeypatch.setattr(detection, "model_scores", lambda *args: scored.append(args[1].name) or score(*args))
    run_command("anomaly_detection", "--protocol", "flip", *SMALL[:-1], 2, "--resume", out=tmp_path)
    assert scored == ["seed=2"]
    steps = [json.loads(line) for line in (folder / "seed=0" / "metrics.jsonl").read_text().splitlines()]
    assert [one["step"] for one in steps if one["part"] == "train"] == [1, 2]

    other = ("--protocol", "other_data", "--other", "folder:new", *SMALL, "--resume")
    run_command("anomaly_detection", *other, out=tmp_path)
    after = table_of(folder)
    assert set(before) < set(after)
    assert after["other_data", "folder:new", "nearest_pixels"]["auroc"] == 0.5  # the same images, by the fixture
    assert scored == ["seed=2", "seed=0", "seed=1"]


@pytest.mark.slow
def test_contamination_is_told_by_what_it_costs(images, tmp_path):
    flags = ("--protocol", "contamination", "--shares", 0.0, 0.3, "--seeds", 0, "--latent-dim", 3)
    rows = table_of(run_command("anomaly_detection", *flags, out=tmp_path))
    clean, dirty = (rows["contamination", variant, "nearest_pixels"] for variant in ("0 %", "30 %"))
    assert (clean["auroc"], clean["lost"]) == (1.0, 0.0)
    assert dirty["lost"] == pytest.approx(1.0 - dirty["auroc"])
    assert dirty["auroc"] < 1.0  # squares of other classes are among what it knows as normal


def test_both_likelihoods_are_of_grey_values(images):
    """The Bernoulli of greys is no noise: the same images, whatever the keys."""
    for likelihood in ("bernoulli", "logistic_mixture"):
        system = build(ModelConfig(likelihood=likelihood, latent_dim=2, steps=2), SPEC)
        x = [system.prepare(jax.random.split(jax.random.key(seed), 4), images.train.x[:4]) for seed in (0, 1)]
        np.testing.assert_array_equal(*x)
        np.testing.assert_allclose(x[0], images.train.x[:4] / 255.0, rtol=1e-6)


def test_a_model_has_its_own_seed_and_nothing_of_the_protocol():
    found = model_config(Config(protocol="flip", latent_dim=5), 7)
    assert type(found) is ModelConfig
    assert (found.seed, found.latent_dim) == (7, 5)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--protocol", "other_data"), "--protocol other_data needs the other data: pass --other SOURCE"),
        (("--other", "digits"), "--other is digits, expected none, but with --protocol other_data"),
        (("--seed", "3"), "--seed is 3, expected none, but those of the trainings, --seeds"),
        (("--seeds", "1", "1"), "expected different whole numbers of at least 0"),
        (("--shares", "0.5", "1.0"), "expected different numbers from 0 to below 1"),
        (("--protocol", "flip", "--flip"), "no training on mirrored images, the anomalies of --protocol flip"),
        (("--init-from", "digits-vae"), "--init-from is not for models that are to know normal images alone"),
        (("--layout", "pmap"), "--layout pmap is not for a sweep"),
        (("--num-components", "0"), "--num-components is 0, expected at least 1"),
    ],
)
def test_mistakes_are_refused_before_a_folder_is_made(images, flags, sentence, tmp_path):
    with pytest.raises(SystemExit) as ended:
        run_command("anomaly_detection", *flags, out=tmp_path)
    assert sentence in ended.value.code
    assert not list(tmp_path.iterdir())


def test_other_data_are_of_the_same_kind(images, monkeypatch):
    load = lambda source, **_: (images, SPEC if source == "digits" else SPEC._replace(shape=(9, 9, 3)))  # noqa: E731
    monkeypatch.setattr(data, "load", load)
    config = Config(protocol="other_data", other="folder:x")
    with pytest.raises(UserError, match=r"--other folder:x has colour images of 9x9 .* 256 values, --data digits has"):
        protocol_of(config, images, SPEC)


def test_classes_need_labels(images):
    unlabelled = Splits(*(Dataset(part.x, None) for part in images))
    for protocol in ("one_class", "contamination"):
        with pytest.raises(UserError, match="needs labels"):
            protocol_of(Config(protocol=protocol), unlabelled, SPEC)
