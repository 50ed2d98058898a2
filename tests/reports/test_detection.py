"""Scores of a protocol's test images by one model, kept in its folder, and the table of all models."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxvae.applications.anomaly.combination import combine, default_score, parts_of
from jaxvae.applications.anomaly.floors import FLOORS
from jaxvae.applications.anomaly.scores import SCORES
from jaxvae.applications.anomaly.seen import Model, Seen
from jaxvae.evaluation.detection import auroc, average_precision, fpr_at_tpr
from jaxvae.evaluation.protocols import Asked, Protocol, Question, one_class, other_data
from jaxvae.reports import detection
from jaxvae.reports.detection import DEFAULT, Scorer, model_scores, score_names
from jaxvae.reports.detection_figures import worst_images
from jaxvae.reports.detection_table import Scored, table_rows
from jaxvae.runs.records import run_record
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset, DataSpec, Splits
from tests.linear import linear_images, linear_system

SPLITS = Splits(*(Dataset(linear_images(num, seed), None) for seed, num in enumerate((60, 40, 30))))
OTHER = Dataset(np.float32(np.random.default_rng(0).random((12, 2, 3, 1))), None)
PROTOCOL = other_data(SPLITS, OTHER, "noise", (0,))
(ONE,) = PROTOCOL.models


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    system, params = linear_system()
    return Trained(system, params, {}, run_record(system, {"seed": 0}, 10), tmp_path_factory.mktemp("run"))


def test_slow_scores_are_there_when_they_are_asked_for(trained):
    names, default = score_names(trained.system), default_score(trained.system)
    assert "+".join(names[: default.count("+") + 1]) == default
    assert not {"regret", "ratio"} & set(names)
    assert set(score_names(trained.system, slow=True)) - set(names) == {"regret"}


def test_scores_are_fitted_to_training_images_and_ranks_are_of_validation_images(trained, monkeypatch):
    combined = []
    monkeypatch.setattr(
        detection, "combine", lambda each, ranks: combined.append((each, ranks)) or combine(each, ranks)
    )
    names = parts_of(default_score(trained.system), trained.system)
    rows, valid_rows = np.arange(0, 60, 2), np.arange(25)
    one = ONE._replace(rows=rows, valid_rows=valid_rows)
    found = model_scores(trained, one, PROTOCOL, SPLITS, 5, names)
    ((each, ranks),) = combined
    model = Model(trained.system, trained.params, trained.model_state)
    seen = lambda x: Seen(model, Dataset(x, None), jax.random.key(0))  # noqa: E731 - the score has no noise
    score = SCORES["mahalanobis"]
    fitted = score.fit(seen(SPLITS.train.x[rows]))
    expected = np.sort(score.of(fitted, seen(SPLITS.valid.x[valid_rows])))
    np.testing.assert_allclose(ranks["mahalanobis/ranks"], expected, rtol=1e-5)
    np.testing.assert_allclose(each["mahalanobis"], score.of(fitted, seen(PROTOCOL.test.x)), rtol=1e-5)
    assert set(found) == {DEFAULT, *names}
    assert found[DEFAULT][-12:].mean() > found[DEFAULT][:30].mean()


def test_no_test_image_has_an_influence_on_the_score_of_another(trained):
    names = score_names(trained.system)
    everything = model_scores(trained, ONE, PROTOCOL, SPLITS, 5, names)
    few = PROTOCOL._replace(test=Dataset(PROTOCOL.test.x[:7], None))
    for name, scores in model_scores(trained, ONE, few, SPLITS, 5, names).items():
        np.testing.assert_allclose(scores, everything[name][:7], rtol=1e-4, atol=1e-4, err_msg=name)


def test_scores_are_kept_until_the_model_or_the_images_are_others(trained, monkeypatch):
    computed = []
    monkeypatch.setattr(detection, "model_scores", lambda *args: computed.append(1) or model_scores(*args))
    first = Scorer(PROTOCOL, SPLITS, 5).stored(trained, ONE)
    again = Scorer(PROTOCOL, SPLITS, 5).stored(trained, ONE)
    assert len(computed) == 1
    assert list(first) == list(again)
    assert set(FLOORS) < set(first)
    for name, scores in first.items():
        np.testing.assert_array_equal(again[name], scores)
    Scorer(PROTOCOL, SPLITS, 6).stored(trained, ONE)
    (trained.folder / detection.FILE).write_bytes(b"PK damaged")
    Scorer(PROTOCOL, SPLITS, 6).stored(trained, ONE)
    Scorer(PROTOCOL, SPLITS, 6).stored(trained, ONE._replace(rows=np.arange(20)))
    Scorer(PROTOCOL, SPLITS, 6).stored(trained, ONE)
    other = replace(trained, params={**trained.params, "more": np.zeros(1)})
    monkeypatch.setattr(detection, "model_scores", lambda *args: computed.append(1) or {})
    Scorer(PROTOCOL, SPLITS, 6).stored(other, ONE)
    assert len(computed) == 6


# ---------- the table


LABELS = np.repeat([0, 1, 2], [20, 30, 40])
VALUES = np.random.default_rng(1).normal(size=(6, 90)) + np.linspace(0, 1, 90)


def scored(shares=(0.0,)):
    parts = Splits(*(Dataset(np.zeros((90, 2, 2, 1), np.uint8), LABELS) for _ in range(3)))
    protocol = one_class(parts, DataSpec((2, 2, 1), 256, 3), (0, 5), shares)
    scores = [
        {DEFAULT: VALUES[i % 6], "pca": VALUES[i % 6] + one.share * LABELS} for i, one in enumerate(protocol.models)
    ]
    return protocol, [Scored(one, of) for one, of in zip(protocol.models, scores, strict=True)]


def test_rows_are_means_over_classes_and_seeds():
    row = table_rows(*scored(), ("corrected",))[0]
    assert (row["variant"], row["score"], row["kind"]) == ("one class", DEFAULT, "default")
    assert "lost" not in row
    measured = {"auroc": auroc, "average_precision": average_precision, "fpr_at_95_tpr": fpr_at_tpr}
    for name, measure in measured.items():
        each = np.reshape(
            [measure(VALUES[i][i % 3 == LABELS], VALUES[i][i % 3 != LABELS]) for i in range(6)], (2, 3)
        )  # seeds, classes
        assert row[name] == pytest.approx(each.mean())
        assert row[f"{name}_sd"] == pytest.approx(np.std(each.mean(axis=1), ddof=1))
        np.testing.assert_allclose(list(row[f"{name}_seeds"].values()), each.mean(axis=1))
        np.testing.assert_allclose(list(row[f"{name}_cases"].values()), each.mean(axis=0))
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    assert list(row["auroc_seeds"]) == [0, 5]


def test_what_contamination_costs_is_against_the_smallest_share():
    rows = {(row["variant"], row["score"]): row for row in table_rows(*scored((0.1, 0.0)), ())}
    assert len(rows) == 4
    assert rows["10 %", "pca"]["lost"] == rows["0 %", "pca"]["auroc"] - rows["10 %", "pca"]["auroc"] != 0.0
    assert rows["10 %", DEFAULT]["lost"] == rows["0 %", "pca"]["lost"] == 0.0
    assert rows["0 %", "pca"]["kind"] == "floor"


def test_the_worst_images_are_the_strangest_normal_ones_and_the_anomalies_that_hide():
    x = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    question = Question("others", "cat", 0, (1,))
    protocol = Protocol(Dataset(x, None), np.array([0, 1, 0, 1, 0, 2]), (Asked("a", 0, None, None, (question,)),))
    found = worst_images(protocol, [(Scored(protocol.models[0], {DEFAULT: x.ravel() % 5}), question)], 256)
    assert {name: np.rint(255 * rows.ravel()).tolist() for name, rows in found.items()} == {
        "cat: normal": [4, 2],
        "cat: hidden": [1, 3],
    }
