"""Noise out of images, by models and by filters, from the command line."""

import json
from dataclasses import replace

import numpy as np
import pytest

from experiments.denoising import Config, run
from jaxvae.errors import UserError
from jaxvae.reports import denoising
from jaxvae.runs.files import read_json
from jaxvae.runs.options import Options
from tests.experiments.conftest import run_command


@pytest.mark.slow
@pytest.mark.usefixtures("images")
def test_models_and_filters_stand_side_by_side(tmp_path, monkeypatch):
    runs = [
        run_command("autoencoder", "--net", "dense", "--latent-dim", 4, out=tmp_path),
        run_command("vqvae", "--num-codes", 8, out=tmp_path),
    ]
    config = Config(runs=tuple(map(str, runs)), levels=(0.0, 0.4), noise="salt_and_pepper", num_images=10)
    folder = run(config, Options(name="d", out=tmp_path))
    rows = json.loads((folder / "summary.json").read_text())["methods"]
    methods = ["noisy", "median", "non-local means", "autoencoder_a", "vqvae_a"]
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
    more = replace(config, runs=(str(runs[1]),), levels=(0.2, 0.4))
    run(more, Options(name="d", out=tmp_path, resume=True))
    psnr = {(row["method"], row["level"]): row["psnr"] for row in read_json(folder / "summary.json")["methods"]}
    np.testing.assert_array_equal(drawn[0]["autoencoder_a"], [np.nan, psnr["autoencoder_a", 0.4]])
    np.testing.assert_array_equal(drawn[0]["vqvae_a"], [psnr["vqvae_a", 0.2], psnr["vqvae_a", 0.4]])


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
