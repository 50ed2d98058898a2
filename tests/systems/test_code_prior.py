"""Priors over codes as systems: a decoder for every grid, the VQ-VAE below within the state."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.capabilities import Generates, GeneratesClasses, GeneratesTempered, ScoresExactly, require
from jaxvae.likelihoods import bernoulli, categorical
from jaxvae.nets import AutoregressiveDecoder, GridContext, PixelCNN
from jaxvae.quantizers import VectorQuantizer
from jaxvae.systems.code_prior import code_prior_system, code_spec, grid_shapes
from jaxvae.systems.first_stage import abstract_variables, variables_or_zeros
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vqvae_networks import convolutional_vqvae
from jaxvae.systems.vqvae_parts import VQVAEParts
from jaxvae.training import Settings, fit, make_layout
from jaxvae.types import Batch, Dataset, DataSpec, Splits
from tests.squares import SPEC, batch_of_squares

NUM_CODES = 8


def codec_of(levels):
    quantizer = VectorQuantizer(NUM_CODES, 3, kmeans_iterations=0)
    model = convolutional_vqvae(SPEC, quantizer, bernoulli(), code_dim=3, channels=(4, 4), levels=levels)
    return VQVAEParts(SPEC, model, binary_pixels(SPEC), 1.0)


CODECS = {levels: codec_of(levels) for levels in (1, 2)}


def prior_of(levels, variables=None):
    codec = CODECS[levels]
    contexts = [nn.Embed(SPEC.num_classes, 4), GridContext(NUM_CODES, (3, 3), 4)]
    decoders = [
        AutoregressiveDecoder(
            PixelCNN(4, 4, 1),
            categorical(NUM_CODES).param_shapes(shape),
            num_codes=NUM_CODES,
            embed_features=4,
            context=context,
            latent_axes=2 if level else 0,
        )
        for level, (shape, context) in enumerate(zip(grid_shapes(codec), contexts, strict=False))
    ]
    return code_prior_system(
        name="prior",
        spec=code_spec(codec),
        decoders=decoders,
        shapes=grid_shapes(codec),
        codec=codec,
        codec_variables=variables,
        optimizer=optax.adam(1e-2),
    )


def random_like(shapes, seed=1):
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: 0.3 * generator.standard_normal(leaf.shape, np.float32), shapes)


def random_codes(num, length):
    return np.random.default_rng(0).integers(0, NUM_CODES, (num, length)).astype(np.uint16)


def test_codes_are_rows_of_all_grids_the_coarse_one_first():
    assert grid_shapes(CODECS[1]) == ((3, 3),)
    assert grid_shapes(CODECS[2]) == ((2, 2), (3, 3))
    assert code_spec(CODECS[2]) == DataSpec((13,), NUM_CODES, SPEC.num_classes)


def test_two_grids_have_a_prior_each_the_second_given_the_first():
    system = prior_of(levels=2)
    batch = Batch(random_codes(5, 13), np.array([0, 1, 2, 0, 1]), np.ones(5, np.float32))
    params = random_like(jax.eval_shape(system.trainable.init, jax.random.key(0), batch)[0])
    keys = jax.random.split(jax.random.key(0), 5)
    evaluate = jax.jit(lambda batch: system.trainable.evaluate(params, {}, keys, batch, {}))
    found = evaluate(batch)
    nll = found["nll"]
    np.testing.assert_array_equal(found["loss"], nll)
    np.testing.assert_allclose(found["rate_bits_per_dim"], nll / (144 * np.log(2.0)), rtol=1e-6)
    log_prob = jax.jit(require(system, ScoresExactly).log_prob)
    exact = log_prob(params, {}, jnp.asarray(batch.x), jnp.asarray(batch.labels))
    np.testing.assert_allclose(exact, -nll, rtol=1e-5)

    def changed(column=None, label=None):
        x, labels = batch.x.copy(), batch.labels.copy()
        if column is not None:
            x[0, column] = (x[0, column] + 1) % NUM_CODES
        if label is not None:
            labels[0] = label
        return np.abs(np.asarray(evaluate(batch._replace(x=x, labels=labels))["nll"] - nll)) > 1e-5

    # An image's own codes and class count, whatever their grid, and nobody else's.
    for change in (changed(column=0), changed(column=12), changed(label=2)):
        np.testing.assert_array_equal(change, [True, False, False, False, False])


@pytest.mark.slow
def test_training_leaves_the_model_below_as_it_is_and_samples_are_its_images():
    codec = CODECS[1]
    variables = jax.jit(codec.init)(jax.random.key(3), batch_of_squares())
    system = prior_of(1, variables)
    part = Dataset(np.full((20, 9), 5, np.uint16), np.arange(20, dtype=np.int32) % 3)
    settings = Settings(steps=60, batch_size=10, eval_every=60, log_every=60, eval_batch_size=10)
    losses = []
    best = fit(
        system,
        Splits(part, part, part),
        settings,
        layout=make_layout("scan"),
        report=lambda step, name, means: losses.append(means["loss"]),
    ).best
    jax.tree.map(np.testing.assert_array_equal, (best.model_state["params"], best.model_state["state"]), variables)
    assert losses[-1] < 5  # of 9 codes; 9 log 8 = 18.7 at the start
    draw = jax.jit(require(system, Generates).sample, static_argnums=3)
    samples = draw(jax.random.key(0), best.params, best.model_state, 20).x
    image = codec.decode(*variables, (jnp.full((1, 3, 3), 5),))[0]
    same = [np.allclose(sample, image, atol=1e-5) for sample in samples]
    assert sum(same) >= 10  # nearly all codes are the one that was learnt


@pytest.mark.slow
def test_codes_are_drawn_of_a_class_and_at_a_temperature():
    system, key = prior_of(1), jax.random.key(0)
    batch = Batch(random_codes(5, 9), np.arange(5) % 3, np.ones(5, np.float32))
    params = random_like(jax.eval_shape(system.trainable.init, jax.random.key(0), batch)[0])
    state = random_like(jax.eval_shape(system.trainable.init, jax.random.key(0), batch)[1])
    draw = jax.jit(require(system, GeneratesTempered).sample)
    labels = jnp.array([0, 1, 2, 0, 1, 2])
    in_turn = jax.jit(require(system, Generates).sample, static_argnums=3)(key, params, state, 6)
    np.testing.assert_array_equal(in_turn.x, draw(key, params, state, labels, 1.0).x)
    np.testing.assert_array_equal(in_turn.x, in_turn.mean)
    of_classes = require(system, GeneratesClasses)
    assert of_classes.num_classes == 3
    np.testing.assert_array_equal(in_turn.x, of_classes.sample(key, params, state, labels).x)
    cold = draw(key, params, state, jnp.array([1, 1, 0, 0, 2, 2]), 1e-4).x
    np.testing.assert_array_equal(cold[::2], cold[1::2])  # the likeliest codes, whatever the noise
    assert (draw(key, params, state, jnp.array([1, 1, 0, 0, 2, 2]), 1.0).x[::2] != cold[::2]).any()


def test_without_the_model_below_there_are_zeros_of_its_shapes():
    codec = CODECS[1]
    variables = jax.jit(codec.init)(jax.random.key(3), batch_of_squares())
    zeros = variables_or_zeros(codec, None)
    found = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), (zeros["params"], zeros["state"]))
    assert found == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), variables)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(zeros))
    assert jax.tree.structure(abstract_variables(codec)) == jax.tree.structure(variables)
    given = variables_or_zeros(codec, variables)
    assert (given["params"], given["state"]) == variables
