"""Autoencoders as systems: corruption, penalties, pairs that stay as they are."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.capabilities import Decodes, Encodes, require
from jaxvae.likelihoods import bernoulli, squared_error
from jaxvae.models import Autoencoder, DensePair
from jaxvae.models.autoencoder import identity
from jaxvae.systems.autoencoder import autoencoder_system
from jaxvae.systems.corruption import make_corruption
from jaxvae.training import create_train_state, make_train_step
from jaxvae.types import StepInput
from tests.squares import SPEC, batch_of_squares

BATCH = batch_of_squares()


def system_of(activation=nn.relu, likelihood=bernoulli, noise="none", level=0.25, **options):
    pairs = [DensePair(SPEC.shape, 6, activation), DensePair((6,), 3, identity)]
    return autoencoder_system(
        name="autoencoder",
        spec=SPEC,
        model=Autoencoder(pairs, likelihood()),
        optimizer=optax.adam(1e-3),
        corrupt=make_corruption(noise, level),
        **options,
    )


@pytest.mark.slow
def test_encoder_sees_corrupted_images_and_is_evaluated_on_whole_ones():
    """With all pixels masked every image gets the same code, and the loss is that of one answer for all."""
    system, x = system_of(noise="masking", level=1.0), jnp.asarray(BATCH.x) / 255
    params, _ = system.trainable.init(jax.random.key(0), BATCH)
    model = system.parts.model
    blank, whole = (model.apply({"params": params}, seen) for seen in (jnp.zeros_like(x), x))
    score = jax.vmap(model.likelihood.log_prob)
    scores = system.trainable.evaluate(params, {}, jax.random.split(jax.random.key(1), 8), BATCH, {})
    np.testing.assert_allclose(scores["loss"], -score(blank, x), rtol=1e-5)
    np.testing.assert_allclose(scores["reconstruction"], -score(whole, x), rtol=1e-5)
    assert not np.allclose(scores["loss"], scores["reconstruction"])


def test_output_starts_at_the_mean_image():
    params, _ = system_of(likelihood=squared_error).trainable.init(jax.random.key(0), BATCH)
    np.testing.assert_allclose(params["pairs_0"]["down_bias"], np.mean(BATCH.x / 255, axis=0), rtol=1e-5)


def test_penalties_are_added_to_the_loss():
    def penalty(encode, x, h, axis_name):
        np.testing.assert_allclose(encode(x), h)
        assert axis_name is None
        return 2.0 * jnp.sum(h, axis=1)

    system = system_of(penalty=penalty)
    state = create_train_state(system, jax.random.key(0), BATCH)
    inputs = StepInput(BATCH, type("Keys", (), {"examples": jax.random.split(jax.random.key(1), 8)}), state.step, {})
    loss, (_, metrics) = system.trainable.players[0].loss(state.params, {}, inputs)
    (h,) = require(system, Encodes).encode(state.params, {}, None, jnp.asarray(BATCH.x) / 255)
    assert metrics["penalty"] == pytest.approx(2.0 * float(jnp.mean(jnp.sum(h, axis=1))), rel=1e-5)
    assert loss == pytest.approx(float(metrics["reconstruction"] + metrics["penalty"]), rel=1e-6)


@pytest.mark.parametrize("activation", [nn.sigmoid, nn.tanh])
def test_last_pair_alone_learns_and_starts_from_those_below(activation):
    make = functools.partial(system_of, activation, last_alone=True)
    pretrained, _ = make().trainable.init(jax.random.key(5), BATCH)
    system = make(pretrained={"pairs_0": pretrained["pairs_0"]})
    state = create_train_state(system, jax.random.key(0), BATCH)
    after, metrics = jax.jit(make_train_step(system.trainable.players))(state, BATCH)
    jax.tree.map(np.testing.assert_array_equal, after.params["pairs_0"], pretrained["pairs_0"])
    assert not np.array_equal(after.params["pairs_1"]["kernel"], state.params["pairs_1"]["kernel"])
    p = jax.tree.map(np.asarray, state.params)
    function = np.tanh if activation is nn.tanh else lambda h: 1 / (1 + np.exp(-h))
    wanted = function(BATCH.x.reshape(8, -1) / 255 @ p["pairs_0"]["kernel"] + p["pairs_0"]["bias"])
    code = wanted @ p["pairs_1"]["kernel"] + p["pairs_1"]["bias"]
    y = function(code @ p["pairs_1"]["down_kernel"] + p["pairs_1"]["down_bias"])
    errors = np.square(wanted - y) if activation is nn.tanh else -wanted * np.log(y) - (1 - wanted) * np.log(1 - y)
    assert metrics["loss"] == pytest.approx(np.mean(np.sum(errors, axis=1)), rel=1e-4)


def test_codes_are_decoded_to_the_images_of_the_model():
    system, x = system_of(), jnp.asarray(BATCH.x) / 255
    params, _ = system.trainable.init(jax.random.key(0), BATCH)
    (z,) = require(system, Encodes).encode(params, {}, None, x)
    assert z.shape == (8, 3)
    want = jax.nn.sigmoid(system.parts.model.apply({"params": params}, x))
    np.testing.assert_allclose(require(system, Decodes).decode(params, {}, None, z), want, rtol=1e-5)
