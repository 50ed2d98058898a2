"""Classifiers on the codes of another model: where these start, what they see, whether they learn."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.capabilities import Classifies, require
from jaxvae.data import gaussian_noise, shift
from jaxvae.keys import split_each
from jaxvae.likelihoods import bernoulli
from jaxvae.models import Autoencoder, DensePair
from jaxvae.models.autoencoder import identity
from jaxvae.systems.autoencoder import AutoencoderParts
from jaxvae.systems.classifier import class_scores, classifier_system, known_class_scores
from jaxvae.systems.corruption import make_corruption
from jaxvae.systems.pixels import unchanged, unit_pixels
from jaxvae.training import create_train_state, make_train_step
from jaxvae.training.step import step_keys
from jaxvae.types import StepInput
from tests.squares import SPEC, batch_of_squares

BATCH = batch_of_squares()
ENCODER = AutoencoderParts(
    SPEC, Autoencoder([DensePair(SPEC.shape, 2, identity)], bernoulli()), unit_pixels(SPEC), unchanged
)


def system_of(variables=None, corrupt=unchanged, frozen=False):
    return classifier_system(
        name="classifier",
        spec=SPEC,
        encoder=ENCODER,
        variables=variables,
        optimizer=optax.adam(1e-3),
        corrupt=corrupt,
        frozen=frozen,
    )


@pytest.mark.parametrize(("given", "frozen"), [(True, True), (True, False), (False, False)])
def test_codes_stay_or_learn_and_start_where_they_should(given, frozen):
    variables = ENCODER.init(jax.random.key(9), BATCH)
    system = system_of(variables if given else None, frozen=frozen)
    state = create_train_state(system, jax.random.key(0), BATCH)
    after, _ = jax.jit(make_train_step(system.trainable.players))(state, BATCH)
    start, before, now = (
        params["pairs_0"]["kernel"] for params in (variables[0], state.params["encoder"], after.params["encoder"])
    )
    assert np.array_equal(before, start) == given
    assert np.array_equal(now, before) == frozen
    assert not np.array_equal(after.params["head"]["kernel"], state.params["head"]["kernel"])


def test_trained_codes_do_not_change_how_the_layer_on_them_starts():
    new, trained = (system_of(variables) for variables in (None, ENCODER.init(jax.random.key(9), BATCH)))
    heads = [system.trainable.init(jax.random.key(0), BATCH)[0]["head"]["kernel"] for system in (new, trained)]
    np.testing.assert_array_equal(*heads)


def test_classifier_learns_from_images_that_are_shifted_and_then_corrupted():
    system = system_of(corrupt=make_corruption("gaussian", 0.3, 2))
    state = create_train_state(system, jax.random.key(0), BATCH)
    inputs = StepInput(BATCH, step_keys(state, 8), state.step, {})
    loss, _ = jax.jit(system.trainable.players[0].loss)(state.params, state.model_state, inputs)
    noise, draw = split_each(inputs.keys.examples)
    first, second = split_each(noise)
    of_shift, of_noise = split_each(second)
    moved = shift(of_shift, system.prepare(first, jnp.asarray(BATCH.x)), 2)
    seen = gaussian_noise(of_noise, moved, 0.3)
    classify = require(system, Classifies).classify
    log_q = classify(state.params, state.model_state, draw, seen)
    assert float(loss) == pytest.approx(-np.mean(np.asarray(log_q)[np.arange(8), BATCH.labels]), rel=1e-4)


def test_evaluation_is_of_images_as_they_are():
    system = system_of(corrupt=make_corruption("masking", 1.0))
    state = create_train_state(system, jax.random.key(0), BATCH)
    keys = jax.random.split(jax.random.key(1), 8)
    found = system.trainable.evaluate(state.params, state.model_state, keys, BATCH, {})
    log_q = require(system, Classifies).classify(state.params, {}, keys, jnp.asarray(BATCH.x) / 255)
    np.testing.assert_allclose(found["cross_entropy"], -np.asarray(log_q)[np.arange(8), BATCH.labels], rtol=1e-4)
    np.testing.assert_array_equal(found["loss"], found["cross_entropy"])


def test_class_scores_are_the_cross_entropy_and_the_error():
    log_q = jnp.log(jnp.array([[0.7, 0.3], [0.9, 0.1]]))
    found = class_scores(log_q, jnp.array([0, 1]))
    np.testing.assert_allclose(found["cross_entropy"], -np.log([0.7, 0.1]), rtol=1e-5)
    np.testing.assert_array_equal(found["error"], [0, 1])


def test_known_class_scores_are_means_over_known_classes():
    log_q = jnp.log(jnp.array([[0.7, 0.3], [0.9, 0.1], [0.5, 0.5]]))
    found = known_class_scores(log_q, jnp.array([0, -1, 1]), None)
    assert float(found["cross_entropy"]) == pytest.approx(-np.log([0.7, 0.5]).mean(), rel=1e-5)
    assert float(found["error"]) == pytest.approx(0.5)
    none = known_class_scores(log_q, jnp.full(3, -1), None)
    assert float(none["cross_entropy"]) == 0
