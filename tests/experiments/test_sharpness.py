"""Three models of equal size and the sharpness of their images."""

import json
import math

import pytest

import jaxvae as jv
from jaxvae.errors import UserError
from jaxvae.reports import sharpness
from tests.experiments.conftest import SPEC, module_and_config, run_command

pytestmark = pytest.mark.usefixtures("images")


@pytest.mark.slow
def test_comparison_leaves_a_table_and_runs_that_load(tmp_path, monkeypatch):
    monkeypatch.setattr(sharpness, "NUM_IMAGES", 20)
    folder = run_command("sharpness", "--likelihood", "bernoulli", "--eval-every", "2", out=tmp_path)
    rows = {row["model"]: row for row in json.loads((folder / "summary.json").read_text())["runs"]}
    assert list(rows) == ["vae", "pixel_vae", "vqvae"]
    metrics = {name: row["metrics"] for name, row in rows.items()}
    for name in ("vae", "pixel_vae"):
        bits = -metrics[name]["elbo"] / (math.prod(SPEC.shape) * math.log(2))
        assert metrics[name]["bits_per_dim"] == pytest.approx(bits, rel=1e-6)
        assert metrics[name]["parameters"] == pytest.approx(metrics["vqvae"]["parameters"], rel=0.03)
    assert metrics["vae"]["sharpness"] < metrics["vae"]["sharpness_of_drawn_pixels"]  # means of untrained nets are flat
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert figures == {"reconstructions.png", "samples.png", "spectra.png", "study.png"}
    places = ("model=vae", "model=pixel_vae", "model=vqvae", "model=vqvae/codec")
    assert [jv.load(folder / place).system.name for place in places] == [
        "pixel_vae",
        "pixel_vae",
        "vqvae_prior",
        "vqvae",
    ]
    run_command("sharpness", "--likelihood", "bernoulli", "--eval-every", "2", "--resume", out=tmp_path)
    with pytest.raises(SystemExit, match="was started with batch_size 8, now it is 4"):
        run_command("sharpness", "--likelihood", "bernoulli", "--batch-size", "4", "--resume", out=tmp_path)


def test_models_that_cannot_be_of_one_size_are_an_error():
    module, config = module_and_config("sharpness", model="pixel_vae", features=64, num_layers=6, prior_features=4)
    with pytest.raises(UserError, match="fewer than the 32 of its latent: take more --prior-features"):
        module.vae_config(config, SPEC)
