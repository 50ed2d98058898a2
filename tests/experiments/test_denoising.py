"""Noise out of images, by models and by filters."""

import json
from dataclasses import replace

import numpy as np
import pytest

from experiments import denoising
from experiments.common.folder import read_json
from experiments.denoising import Config, denoise, run
from experiments.run import Options, load
from jaxvae.errors import UserError
from tests.experiments.conftest import SPEC, module_and_config


@pytest.mark.slow
@pytest.mark.usefixtures("images")
def test_models_and_filters_stand_side_by_side(tmp_path, monkeypatch):
    runs = []
    for name, changes in {"autoencoder": {"net": "dense", "latent_dim": 4}, "vq_vae": {"num_codes": 8}}.items():
        module, config = module_and_config(name, **changes)
        runs.append(str(module.run(config, Options(name="a", out=tmp_path))))
    config = Config(runs=tuple(runs), levels=(0.0, 0.4), noise="salt_and_pepper", num_images=10)
    folder = run(config, Options(name="d", out=tmp_path))
    rows = json.loads((folder / "summary.json").read_text())["methods"]
    methods = ["noisy", "median", "non-local means", "autoencoder_a", "vq_vae_a"]
    assert [(row["level"], row["method"]) for row in rows] == [(level, m) for level in (0.0, 0.4) for m in methods]
    assert rows[0]["psnr"] == 100  # no noise
    assert rows[5]["mse"] > rows[6]["mse"]  # a median takes out salt and pepper
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "psnr.png",
        "ssim.png",
        "level_0.png",
        "level_0.4.png",
    }
    drawn = []
    monkeypatch.setattr(denoising.viz, "save_noise_levels", lambda path, levels, curves, *_: drawn.append(curves))
    more = replace(config, runs=(runs[1],), levels=(0.2, 0.4))
    run(more, Options(name="d", out=tmp_path, resume=True))
    psnr = {(row["method"], row["level"]): row["psnr"] for row in read_json(folder / "summary.json")["methods"]}
    np.testing.assert_array_equal(drawn[0]["autoencoder_a"], [np.nan, psnr["autoencoder_a", 0.4]])
    np.testing.assert_array_equal(drawn[0]["vq_vae_a"], [psnr["vq_vae_a", 0.2], psnr["vq_vae_a", 0.4]])

    x = np.random.default_rng(0).random((3, *SPEC.shape), np.float32)
    for place in runs:
        restored = denoise(load(place), x)
        assert restored.shape == x.shape
        assert restored.min() >= 0
        assert restored.max() <= 1


def test_settings_of_filters_are_chosen_on_validation_images(monkeypatch):
    valid = np.zeros((2, 12, 12, 1), np.float32)
    calls = []
    monkeypatch.setattr(denoising, "_median", lambda x, side: calls.append((len(x), side)) or x * 0 + (side != 5))
    monkeypatch.setattr(denoising, "_non_local", lambda x, width: x)
    methods = denoising._methods(valid, valid, {})
    assert calls == [(2, 3), (2, 5)]
    assert not np.any(methods["median"](np.ones((7, 12, 12, 1), np.float32)))
    assert calls[-1] == (7, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": ()}, "--levels is .*expected different ones"),
        ({"levels": (-0.1,)}, "--levels is .*of at least 0"),
        ({"levels": (1.5,), "noise": "masking"}, "--levels is .*at most 1"),
        ({"noise": "none"}, "--noise is none, expected a noise of images"),
    ],
)
def test_settings_that_make_no_sense_are_an_error(changes, message):
    with pytest.raises(UserError, match=message):
        Config(**changes)
