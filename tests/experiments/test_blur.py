"""Three models of equal size and the sharpness of their images."""

import json

import pytest

from experiments.run import Options, load
from tests.experiments.conftest import module_and_config

pytestmark = pytest.mark.usefixtures("images")


@pytest.mark.slow
def test_comparison_leaves_a_table_and_runs_that_load(tmp_path):
    module, config = module_and_config("blur", likelihood="bernoulli", eval_every=2)
    folder = module.run(config, Options(name="a", out=tmp_path))
    rows = {row["model"]: row for row in json.loads((folder / "summary.json").read_text())["models"]}
    assert list(rows) == ["VAE", "VAE, pixels drawn", "PixelVAE", "VQ-VAE"]
    for name in ("VAE", "PixelVAE", "VQ-VAE"):
        assert rows[name]["bits_per_dim"] > 0
        assert rows[name]["reconstructions"] >= 0
        assert rows[name]["parameters"] == pytest.approx(rows["VQ-VAE"]["parameters"], rel=0.03)
    assert rows["VAE"]["samples"] < rows["VAE, pixels drawn"]["samples"]  # means of untrained nets are flat
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "reconstructions.png",
        "samples.png",
        "spectra.png",
    }
    parts = {part: load(folder / part).experiment.name for part in ("vae", "pixelvae", "vq_vae", "vq_vae/codec")}
    assert list(parts.values()) == ["pixel_vae", "pixel_vae", "vq_prior", "vq_vae"]
