"""Features of runs of every kind, on disk and under the same probes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from experiments.common.inspection import features_of
from experiments.representations import Config, run
from experiments.run import Options, load
from jaxvae import data
from jaxvae.errors import UserError
from jaxvae.types import Dataset, Splits
from tests.experiments.conftest import SPEC, module_and_config


def train(name, out, **changes):
    module, config = module_and_config(name, **changes)
    return module.run(config, Options(name="a", out=out))


@pytest.mark.slow
def test_runs_of_every_kind_stand_in_one_table(images, tmp_path):
    runs = [
        train("autoencoder", tmp_path, net="dense", hidden=(5,), latent_dim=4),
        train("binary_vae", tmp_path, net="mlp", latent_dim=3),
        train("vq_vae", tmp_path, levels=2, channels=(4,), code_dim=4, num_codes=8),
    ]
    config = Config(runs=tuple(map(str, runs[:2])), pca_dim=4)
    folder = run(config, Options(name="r", out=tmp_path))
    rows = json.loads((folder / "summary.json").read_text())["probes"]
    assert [row["features"] for row in rows] == ["pixels", "PCA-4", "autoencoder_a", "binary_vae_a"]
    assert [row["dimensions"] for row in rows] == [144, 4, 4, 3]
    assert all(0 <= row[probe] <= 100 for row in rows for probe in ("linear", "knn", "mlp"))
    assert rows[0]["knn"] == rows[0]["linear"] == 100  # squares in three places, of three classes

    stored = folder / "embeddings" / "autoencoder_a" / "test.npy"
    before = stored.stat().st_mtime_ns
    run(replace(config, runs=tuple(map(str, runs))), Options(name="r", out=tmp_path, resume=True))
    assert stored.stat().st_mtime_ns == before
    rows = json.loads((folder / "summary.json").read_text())["probes"]
    assert rows[-1]["dimensions"] == 6 * 6 * 4 + 3 * 3 * 4

    features = features_of(load(runs[0]), images)
    np.testing.assert_array_equal(np.load(stored), features.test.x)
    np.testing.assert_array_equal(features.test.labels, images.test.labels)


def test_what_cannot_be_probed_is_an_error(images, tmp_path, monkeypatch):
    exact = train("pixel_cnn", tmp_path, likelihood="bernoulli", block=1)
    with pytest.raises(UserError, match=r"--runs .* is a run of pixel_cnn, which has no codes"):
        run(Config(runs=(str(exact),)), Options(name="r", out=tmp_path))
    vaes = [str(train("autoencoder", tmp_path / out, net="dense", hidden=(), latent_dim=2)) for out in ("1", "2")]
    with pytest.raises(UserError, match="--runs has two of the name autoencoder_a"):
        run(Config(runs=tuple(vaes)), Options(name="r", out=tmp_path))
    unlabelled = Splits(*(Dataset(part.x, None) for part in images))
    monkeypatch.setattr(data, "load", lambda source, **_: (unlabelled, SPEC))
    with pytest.raises(UserError, match="Probes need labels"):
        run(Config(), Options(name="r", out=tmp_path))
    larger = SPEC._replace(shape=(14, 14, 1))
    monkeypatch.setattr(data, "load", lambda source, **_: (images, larger))
    with pytest.raises(UserError, match=r"is of images \[12, 12, 1\], the data are \[14, 14, 1\]"):
        run(Config(runs=(str(exact),)), Options(name="r", out=tmp_path))
