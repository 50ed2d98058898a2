"""Three models of equal size and the sharpness of their images."""

import json
import math
from dataclasses import replace

import pytest

from experiments.run import Options, load
from jaxvae.errors import UserError
from tests.experiments.conftest import SPEC, module_and_config

pytestmark = pytest.mark.usefixtures("images")


@pytest.mark.slow
def test_comparison_leaves_a_table_and_runs_that_load(tmp_path, monkeypatch):
    module, config = module_and_config("blur", likelihood="bernoulli", eval_every=2)
    monkeypatch.setattr(module, "NUM_IMAGES", 20)
    folder = module.run(config, Options(name="a", out=tmp_path))
    rows = {row["model"]: row for row in json.loads((folder / "summary.json").read_text())["models"]}
    assert list(rows) == ["VAE", "VAE, pixels drawn", "PixelVAE", "VQ-VAE"]
    parts = {"VAE": "vae", "PixelVAE": "pixelvae", "VQ-VAE": "vq_vae"}
    metrics = {
        name: json.loads((folder / part / "summary.json").read_text())["metrics"] for name, part in parts.items()
    }
    for name in ("VAE", "PixelVAE"):
        bits = -metrics[name]["elbo"] / (math.prod(SPEC.shape) * math.log(2))
        assert rows[name]["bits_per_dim"] == pytest.approx(bits, abs=1e-4)
        assert rows[name]["parameters"] == pytest.approx(rows["VQ-VAE"]["parameters"], rel=0.03)
    assert rows["VQ-VAE"]["bits_per_dim"] == pytest.approx(metrics["VQ-VAE"]["bits_per_dim"], abs=1e-4)
    assert rows["VAE"]["samples"] < rows["VAE, pixels drawn"]["samples"]  # means of untrained nets are flat
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "reconstructions.png",
        "samples.png",
        "spectra.png",
    }
    models = [load(folder / part).experiment.name for part in ("vae", "pixelvae", "vq_vae", "vq_vae/codec")]
    assert models == ["pixel_vae", "pixel_vae", "vq_prior", "vq_vae"]


def test_resume_reaches_the_parts_that_were_begun(tmp_path, monkeypatch):
    module, config = module_and_config("blur")
    resumed = {}

    def note(*args):
        resumed[args[-2].name] = args[-1].resume
        return ()

    monkeypatch.setattr(module, "train", note)
    monkeypatch.setattr(module.vq_prior, "train_stages", note)
    monkeypatch.setattr(module, "vae_config", lambda *_: None)
    monkeypatch.setattr(module, "_judge", lambda *_: None)
    folder = module.run(config, Options(name="a", out=tmp_path))
    assert resumed == {"vae": False, "pixelvae": False, "vq_vae": False}
    (folder / "vae").mkdir()
    (folder / "vae" / "config.json").write_text("{}")
    module.run(config, Options(name="a", out=tmp_path, resume=True))
    assert resumed == {"vae": True, "pixelvae": False, "vq_vae": False}
    (folder / "vq_vae").mkdir()
    (folder / "vq_vae" / "config.json").write_text("{}")
    module.run(config, Options(name="a", out=tmp_path, resume=True))
    assert resumed["vq_vae"]
    with pytest.raises(UserError, match="was started with --steps 2, now it is 3"):
        module.run(replace(config, steps=3), Options(name="a", out=tmp_path, resume=True))


def test_models_that_cannot_be_of_one_size_are_an_error():
    module, config = module_and_config("blur", features=64, num_layers=6, prior_features=4)
    with pytest.raises(UserError, match="fewer than the 32 of its latent: take more --prior-features"):
        module.vae_config(config, SPEC, config.num_layers)
