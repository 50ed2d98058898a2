"""Autoencoders from the command line: penalties with their weights, what is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.autoencoder import Config, build
from jaxvae.capabilities import Encodes, require
from jaxvae.errors import UserError
from jaxvae.runs.load import load
from jaxvae.training import create_train_state, make_train_step
from tests.experiments.conftest import module_and_config, run_command
from tests.squares import SPEC, batch_of_squares

SMALL = {"net": "dense", "hidden": (6,), "latent_dim": 3}


def kl_of_sigmoids(h, kernel):
    mean = np.mean(h, axis=0)
    return np.sum(0.05 * np.log(0.05 / mean) + 0.95 * np.log(0.95 / (1 - mean))) * 0.1


@pytest.mark.slow
@pytest.mark.usefixtures("images")
def test_run_leaves_a_folder_that_loads(tmp_path):
    folder = run_command("autoencoder", "--noise", "masking", out=tmp_path)
    metrics = json.loads((folder / "summary.json").read_text())["metrics"]
    assert set(metrics) == {"reconstruction", "mse", "psnr", "ssim", "latent_dim"}
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert figures == {"curves.png", "filters.png", "latents.png", "reconstructions.png"}
    run, x = load(folder), np.ones((2, 12, 12), np.float32)
    assert run.decode(run.encode(x)).shape == (2, *SPEC.shape)


@pytest.mark.parametrize(
    ("changes", "penalty"),
    [
        ({"sparsity": "l1"}, lambda h, kernel: 0.1 * np.mean(np.sum(np.abs(h), axis=1))),
        (
            {"contraction_weight": 2.0, "hidden": ()},  # linear: the Jacobian is the kernel
            lambda h, kernel: 2.0 * np.sum(np.square(kernel)),
        ),
        ({"sparsity": "kl", "activation": "sigmoid", "latent_dim": 0}, kl_of_sigmoids),
    ],
)
def test_penalties_are_added_with_their_weights(changes, penalty):
    _, config = module_and_config("autoencoder", **SMALL | changes)
    system, batch = build(config, SPEC), batch_of_squares()
    state = create_train_state(system, jax.random.key(0), batch)
    (h,) = require(system, Encodes).encode(state.params, {}, None, jnp.asarray(batch.x) / 255)
    _, metrics = jax.jit(make_train_step(system.trainable.players))(state, batch)
    want = penalty(np.asarray(h), np.asarray(state.params["pairs_0"]["kernel"]))
    assert metrics["penalty"] == pytest.approx(want, rel=1e-4)
    assert metrics["loss"] == pytest.approx(float(metrics["reconstruction"]) + want, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": "masking", "noise_level": 1.5}, "The noise level is 1.5, expected 0 to 1"),
        ({"noise": "dropout", "noise_level": 1.0}, "The noise level is 1.0, expected 0 to below 1"),
        ({"noise": "gaussian", "noise_level": -0.5}, "The noise level is -0.5, expected at least 0"),
        ({"hidden": (), "latent_dim": 0}, "--hidden is .*expected widths of at least 1, or a --latent-dim"),
        ({"sparsity": "kl"}, "--sparsity is kl, expected another one, or sigmoid units and --latent-dim 0"),
    ],
)
def test_settings_that_make_no_sense_are_an_error(changes, message):
    with pytest.raises(UserError, match=message):
        Config(**changes)
