"""Features of runs of every kind under the same probes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from experiments.representations import Config, run
from jaxvae import data
from jaxvae.applications.features import features_of
from jaxvae.errors import UserError
from jaxvae.reports import representations
from jaxvae.runs.load import load
from jaxvae.runs.options import Options
from jaxvae.types import Dataset, Splits
from tests.experiments.conftest import SPEC, run_command


@pytest.mark.slow
def test_runs_of_every_kind_stand_in_one_table(images, tmp_path):
    runs = [
        run_command("autoencoder", "--net", "dense", "--hidden", 5, "--latent-dim", 4, out=tmp_path),
        run_command("vqvae", "--channels", 4, "--code-dim", 4, "--num-codes", 8, out=tmp_path),
    ]
    config = Config(runs=tuple(map(str, runs[:1])), pca_dim=4)
    folder = run(config, Options(name="r", out=tmp_path))
    rows = json.loads((folder / "summary.json").read_text())["probes"]
    assert [row["features"] for row in rows] == ["pixels", "PCA-4", "autoencoder_a"]
    assert [row["dimensions"] for row in rows] == [144, 4, 4]
    assert all(0 <= row[probe] <= 100 for row in rows for probe in ("linear", "knn", "mlp"))
    assert rows[0]["knn"] == rows[0]["linear"] == 100  # squares in three places, of three classes

    stored = folder / "embeddings" / "autoencoder_a" / "test.npy"
    before = stored.stat().st_mtime_ns
    run(replace(config, runs=tuple(map(str, runs))), Options(name="r", out=tmp_path, resume=True))
    assert stored.stat().st_mtime_ns == before
    rows = json.loads((folder / "summary.json").read_text())["probes"]
    assert rows[-1]["dimensions"] == 6 * 6 * 4

    one = load(runs[0])
    features = features_of(one.system, one.params, one.model_state, images)
    np.testing.assert_array_equal(np.load(stored), features.test.x)
    np.testing.assert_array_equal(features.test.labels, images.test.labels)


def test_rows_that_were_made_are_kept_when_a_later_one_fails(images, tmp_path, monkeypatch):
    def scores(x, *_):
        if x.shape[1] == 2:
            raise MemoryError
        return {}

    monkeypatch.setattr(representations, "clustering_scores", scores)
    for name in list(representations.PROBES):
        monkeypatch.delitem(representations.PROBES, name)
    with pytest.raises(MemoryError):
        run(Config(pca_dim=2), Options(name="r", out=tmp_path))
    summary = json.loads((tmp_path / "representations" / "r" / "summary.json").read_text())
    assert [row["features"] for row in summary["probes"]] == ["pixels"]


def test_data_without_labels_are_an_error(images, tmp_path, monkeypatch):
    unlabelled = Splits(*(Dataset(part.x, None) for part in images))
    monkeypatch.setattr(data, "load", lambda source, **_: (unlabelled, SPEC))
    with pytest.raises(UserError, match="Probes need labels"):
        run(Config(), Options(name="r", out=tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (np.arange(40) % 3 - 1, "A logistic regression needs a class of every example, some have -1"),
        (np.zeros(40), "A logistic regression needs two classes, all 40 examples are of one"),
        (np.arange(40) == 5, "A network that stops early needs 2 examples of every class, class 1 has 1"),
        (np.arange(9) % 3, "A vote of 10 neighbours needs 10 examples, the training set has 9"),
        (np.arange(11) % 2, "A clustering by classes needs two classes, all 10 examples are of one"),
    ],
)
def test_what_a_probe_lacks_is_said_before_anything_is_done(train, message, images, tmp_path, monkeypatch):
    labels = np.array(train, np.int32)
    test = images.test if len(labels) != 11 else images.test._replace(labels=np.zeros(10, np.int32))
    few = Splits(Dataset(images.train.x[: len(labels)], labels), images.valid, test)
    monkeypatch.setattr(data, "load", lambda source, **_: (few, SPEC))
    with pytest.raises(UserError, match=message):
        run(Config(pca_dim=2), Options(name="r", out=tmp_path))
    assert not list(tmp_path.iterdir())
