"""What autoencoders have beside the other experiments: corruption, penalties, pairs that stay as they are."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.autoencoder import Config, autoencoder
from experiments.run import Options, load
from jaxvae.errors import UserError
from jaxvae.training import create_train_state, make_train_step
from jaxvae.types import Batch
from tests.experiments.conftest import SPEC, module_and_config

pytestmark = pytest.mark.usefixtures("images")
SMALL = {"net": "dense", "hidden": (6,), "latent_dim": 3}


def batch_of(images):
    return Batch(images.train.x[:8], images.train.labels[:8], np.ones(8, np.float32))


@pytest.mark.slow
def test_run_leaves_a_folder_that_loads(tmp_path):
    module, config = module_and_config("autoencoder", noise="masking")
    folder = module.run(config, Options(name="a", out=tmp_path))
    metrics = json.loads((folder / "summary.json").read_text())["metrics"]
    assert {"reconstruction", "mse", "psnr", "ssim", "latent_dim"} == set(metrics)
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "curves.png",
        "filters.png",
        "latents.png",
        "reconstructions.png",
    }
    run = load(folder)
    keys, x = jax.random.split(jax.random.key(0), 2), jnp.ones((2, *SPEC.shape))
    (z,) = run.experiment.encode(run.params, run.model_state, keys, x)
    assert run.experiment.decode(run.params, run.model_state, None, z).shape == x.shape


def test_encoder_sees_corrupted_images_and_is_judged_by_whole_ones(images):
    """With all pixels masked every image gets the same code, and the loss is that of one answer for all."""
    module, config = module_and_config("autoencoder", noise="masking", noise_level=1.0, **SMALL)
    experiment, batch = module.build(config, SPEC), batch_of(images)
    params, _ = experiment.init(jax.random.key(0), batch)
    model, x = autoencoder(config, SPEC), jnp.asarray(batch.x) / 255
    blank, whole = (model.apply({"params": params}, seen) for seen in (jnp.zeros_like(x), x))
    score = jax.vmap(model.likelihood.log_prob)
    scores = experiment.evaluate(params, {}, jax.random.split(jax.random.key(1), 8), batch, {})
    np.testing.assert_allclose(scores["loss"], -score(blank, x), rtol=1e-5)
    np.testing.assert_allclose(scores["reconstruction"], -score(whole, x), rtol=1e-5)
    assert not np.allclose(scores["loss"], scores["reconstruction"])


@pytest.mark.parametrize(
    ("changes", "penalty"),
    [
        ({"sparsity": "l1"}, lambda h, kernel: 0.1 * np.mean(np.sum(np.abs(h), axis=1))),
        (
            {"contraction_weight": 2.0, "hidden": ()},  # linear: the Jacobian is the kernel
            lambda h, kernel: 2.0 * np.sum(np.square(kernel)),
        ),
    ],
)
def test_penalties_are_added_with_their_weights(changes, penalty, images):
    module, config = module_and_config("autoencoder", **SMALL | changes)
    experiment, batch = module.build(config, SPEC), batch_of(images)
    state = create_train_state(experiment, jax.random.key(0), batch)
    (h,) = experiment.encode(state.params, {}, None, jnp.asarray(batch.x) / 255)
    _, metrics = jax.jit(make_train_step(experiment.loss, experiment.optimizer))(state, batch)
    want = penalty(np.asarray(h), np.asarray(state.params["pairs_0"]["kernel"]))
    assert metrics["penalty"] == pytest.approx(want, rel=1e-4)
    assert metrics["loss"] == pytest.approx(float(metrics["reconstruction"]) + want, rel=1e-4)


def test_last_pair_alone_learns_and_starts_from_those_below(images):
    module, config = module_and_config("autoencoder", last_alone=True, activation="sigmoid", **SMALL)
    batch = batch_of(images)
    below, _ = module.build(config, SPEC).init(jax.random.key(5), batch)
    experiment = module.build(config, SPEC, {"pairs_0": below["pairs_0"]})
    state = create_train_state(experiment, jax.random.key(0), batch)
    step = jax.jit(make_train_step(experiment.loss, experiment.optimizer))
    after, metrics = step(state, batch)
    jax.tree.map(np.testing.assert_array_equal, after.params["pairs_0"], below["pairs_0"])
    assert not np.array_equal(after.params["pairs_1"]["kernel"], state.params["pairs_1"]["kernel"])
    p = jax.tree.map(np.asarray, state.params)
    sigmoid = lambda h: 1 / (1 + np.exp(-h))  # noqa: E731
    wanted = sigmoid(batch.x.reshape(8, -1) / 255 @ p["pairs_0"]["kernel"] + p["pairs_0"]["bias"])
    code = wanted @ p["pairs_1"]["kernel"] + p["pairs_1"]["bias"]
    y = sigmoid(code @ p["pairs_1"]["down_kernel"] + p["pairs_1"]["down_bias"])
    want = -np.mean(np.sum(wanted * np.log(y) + (1 - wanted) * np.log(1 - y), axis=1))
    assert metrics["loss"] == pytest.approx(want, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": "masking", "noise_level": 1.5}, "--noise-level is 1.5, expected 0 to 1"),
        ({"noise": "dropout", "noise_level": 1.0}, "--noise-level is 1.0, expected 0 to below 1"),
        ({"noise": "gaussian", "noise_level": -0.5}, "--noise-level is -0.5, expected at least 0"),
        ({"hidden": (), "latent_dim": 0}, "--hidden is .*expected widths of at least 1, or a --latent-dim"),
        ({"sparsity": "kl"}, "--sparsity is kl, expected another one, or sigmoid units and --latent-dim 0"),
    ],
)
def test_settings_that_make_no_sense_are_an_error(changes, message):
    with pytest.raises(UserError, match=message):
        Config(**changes)
