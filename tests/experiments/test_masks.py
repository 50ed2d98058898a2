"""A person's own sparse binary masks: larger than the model's images, a thin stroke each."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from experiments import binary_vae
from experiments.run import Options, load
from jaxvae import data


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(200):
        mask = np.zeros((120, 120), bool)
        row = rng.integers(10, 110)
        mask[row, 10:110] = True  # one pixel high: 0.7 % of the mask
        Image.fromarray(mask).save(tmp_path / f"{number:03}.png")
    return tmp_path


@pytest.mark.slow
def test_binary_vae_learns_sparse_masks(folder, tmp_path):
    source = f"folder:{folder}"
    splits, spec = data.load(source, image_size=16)
    assert spec.num_values == 2
    assert splits.train.x.reshape(len(splits.train.x), -1).any(axis=1).all()  # no stroke is lost

    config = replace(
        binary_vae.Config().quick(),
        net="mlp",
        data=source,
        image_size=16,
        steps=400,
        eval_every=200,
        latent_dim=4,
        ema_decay=0.9,
    )
    run = binary_vae.run(config, Options(name="a", out=tmp_path))
    metrics = json.loads((run / "summary.json").read_text())["metrics"]
    # Where the stroke lies is log 16 nats; pixels of one histogram need about ten times as much.
    assert metrics["nll"] < 0.3 * metrics["nll_of_independent_pixels"]
    assert metrics["active_units"] > 0
    assert "warning" not in metrics
    finished = load(run)
    assert finished.experiment.spec.shape == (16, 16, 1)
