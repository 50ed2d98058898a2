"""Features of runs of every kind, on disk and under the same probes."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from experiments import representations
from experiments.common import loading
from experiments.common.inspection import features_of
from experiments.common.loading import load_coders
from experiments.representations import Config, run
from experiments.run import Options, load
from jaxvae import data
from jaxvae.errors import UserError
from jaxvae.training import create_train_state
from jaxvae.types import Batch, Dataset, Splits
from tests.experiments.conftest import SPEC, module_and_config


def train(name, out, **changes):
    module, config = module_and_config(name, **changes)
    return module.run(config, Options(name="a", out=out))


@pytest.mark.slow
def test_runs_of_every_kind_stand_in_one_table(images, tmp_path):
    runs = [
        train("autoencoder", tmp_path, net="dense", hidden=(5,), latent_dim=4),
        train("vq_vae", tmp_path, channels=(4,), code_dim=4, num_codes=8),
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

    features = features_of(load(runs[0]), images)
    np.testing.assert_array_equal(np.load(stored), features.test.x)
    np.testing.assert_array_equal(features.test.labels, images.test.labels)


def test_rows_that_were_made_are_kept_when_a_later_one_fails(images, tmp_path, monkeypatch):
    def scores(x, *_):
        if x.shape[1] == 2:
            raise MemoryError
        return {}

    monkeypatch.setattr(representations, "clustering_scores", scores)
    monkeypatch.setattr(representations, "PROBES", {})
    with pytest.raises(MemoryError):
        run(Config(pca_dim=2), Options(name="r", out=tmp_path))
    summary = json.loads((tmp_path / "representations" / "r" / "summary.json").read_text())
    assert [row["features"] for row in summary["probes"]] == ["pixels"]


def test_features_are_of_the_images_and_not_of_a_binarisation(images):
    module, config = module_and_config("binary_vae", net="mlp", latent_dim=2)
    experiment = module.build(config, SPEC)
    batch = Batch(images.train.x, None, np.ones(40, np.float32))
    state = create_train_state(experiment, jax.random.key(0), batch)
    found = features_of(loading.Finished(experiment, config, state.params, {}, None, {}), images).test.x
    expected = jax.jit(experiment.posterior)(state.params, {}, images.test.x.astype(np.float32) / 255.0).mean
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_runs_that_cannot_be_probed_are_an_error(monkeypatch):
    """Of models as they are built, untrained."""
    built = {}
    for name in ("autoencoder", "pixel_cnn"):
        module, config = module_and_config(name)
        built[name] = module.build(config, SPEC)
    monkeypatch.setattr(
        loading, "load", lambda place: loading.Finished(built[place.parent.name], None, None, None, place, {})
    )
    assert list(load_coders(["1/autoencoder/a", "1/autoencoder/b"], SPEC)) == ["autoencoder_a", "autoencoder_b"]
    with pytest.raises(UserError, match=r"--runs .* is a run of pixel_cnn, which has no codes"):
        load_coders(["1/pixel_cnn/a"], SPEC)
    with pytest.raises(UserError, match=r"is of images \[12, 12, 1\] of 256 values, the data are .*\[14, 14, 1\]"):
        load_coders(["1/autoencoder/a"], SPEC._replace(shape=(14, 14, 1)))
    with pytest.raises(UserError, match="the data are images .* of 2 values"):
        load_coders(["1/autoencoder/a"], SPEC._replace(num_values=2))
    with pytest.raises(UserError, match="--runs has two of the name autoencoder_a"):
        load_coders(["1/autoencoder/a", "2/autoencoder/a"], SPEC)


def test_data_without_labels_are_an_error(images, tmp_path, monkeypatch):
    unlabelled = Splits(*(Dataset(part.x, None) for part in images))
    monkeypatch.setattr(data, "load", lambda source, **_: (unlabelled, SPEC))
    with pytest.raises(UserError, match="Probes need labels"):
        run(Config(), Options(name="r", out=tmp_path))
