"""Autoregressive models as systems: probabilities of all images, tokens, samples and completions."""

import itertools
from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.capabilities import (
    Completes,
    Generates,
    GeneratesClasses,
    GeneratesTempered,
    ScoresCompletions,
    ScoresExactly,
    find,
    require,
)
from jaxvae.errors import UserError
from jaxvae.likelihoods import bernoulli, categorical, logistic_mixture
from jaxvae.nets import AutoregressiveDecoder, PixelCNN
from jaxvae.systems.autoregressive_parts import autoregressive_system
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.tokens import block_tokens, code_tokens, pixel_tokens
from jaxvae.training import Settings, fit, make_layout
from jaxvae.types import Batch, Dataset, DataSpec, Splits

SPEC = DataSpec(shape=(2, 4, 1), num_values=2, num_classes=3)
EVERY_IMAGE = np.array(list(itertools.product((0, 1), repeat=8)), np.float32).reshape(-1, *SPEC.shape)


def system_of(tokens, *, conditional=False):
    likelihood = categorical(tokens.num_codes) if tokens.num_codes else bernoulli()
    decoder = AutoregressiveDecoder(
        PixelCNN(4 if tokens.num_codes else 1, 4, 1),
        likelihood.param_shapes(tokens.shape),
        num_codes=tokens.num_codes,
        embed_features=4,
        context=nn.Embed(SPEC.num_classes, 4) if conditional else None,
        latent_axes=0,
    )
    return autoregressive_system(
        name="autoregressive",
        spec=SPEC,
        decoder=decoder,
        likelihood=likelihood,
        tokens=tokens,
        prepare=binary_pixels(SPEC),
        optimizer=optax.adam(3e-2),
    )


def random_params(system, num=4):
    batch = Batch(EVERY_IMAGE[:num].astype(np.uint8), np.zeros(num, np.int32), np.ones(num, np.float32))
    shapes, _ = jax.eval_shape(system.trainable.init, jax.random.key(0), batch)
    generator = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: 0.5 * generator.standard_normal(leaf.shape, np.float32), shapes)


TOKENS = {"pixels": pixel_tokens(SPEC), "blocks": block_tokens(SPEC, 2)}


@pytest.mark.parametrize("tokens", TOKENS.values(), ids=TOKENS)
def test_probabilities_of_all_images_sum_to_one_for_every_class(tokens):
    system = system_of(tokens, conditional=True)
    params, log_prob = random_params(system), jax.jit(require(system, ScoresExactly).log_prob)
    of_class = [log_prob(params, {}, jnp.asarray(EVERY_IMAGE), jnp.full(256, label)) for label in (0, 1)]
    for values in of_class:
        assert float(jnp.sum(jnp.exp(values))) == pytest.approx(1.0, rel=1e-5)
    assert not np.allclose(*of_class)


def test_evaluation_has_nats_and_bits_of_every_image():
    system = system_of(TOKENS["pixels"])
    params, labels = random_params(system), jnp.zeros(256, jnp.int32)
    batch = Batch(EVERY_IMAGE.astype(np.uint8), labels, jnp.ones(256))
    found = jax.jit(system.trainable.evaluate)(params, {}, jax.random.split(jax.random.key(0), 256), batch, {})
    exact = jax.jit(require(system, ScoresExactly).log_prob)(params, {}, jnp.asarray(EVERY_IMAGE), None)
    np.testing.assert_allclose(found["nll"], -exact, rtol=1e-5)
    np.testing.assert_array_equal(found["loss"], found["nll"])
    np.testing.assert_allclose(found["bits_per_dim"], found["nll"] / (8 * np.log(2.0)), rtol=1e-6)
    of_colours = replace(system.parts, spec=DataSpec((2, 4, 3), 256, 0))
    np.testing.assert_allclose(of_colours.bits, 1 / (24 * np.log(2.0)), rtol=1e-6)  # every channel is a dimension


# Unknown ones that come last: of pixels in reading order; of blocks three pixels of the second, whose first is known.
LAST = {
    "pixels": np.array([[True, True, True, True], [True, False, False, False]]),
    "blocks": np.array([[True, True, True, False], [True, True, False, False]]),
}


@pytest.mark.parametrize("name", TOKENS)
def test_completions_have_the_probabilities_of_images_with_the_known_pixels(name):
    system, known, num = system_of(TOKENS[name], conditional=True), LAST[name], 4000
    params, able = random_params(system), require(system, Completes)
    assert able.num_classes == 3
    log_prob = jax.jit(require(system, ScoresExactly).log_prob)
    p = np.exp(log_prob(params, {}, jnp.asarray(EVERY_IMAGE), jnp.full(256, 1)))
    x = EVERY_IMAGE[0b10110010]
    matches = (x == EVERY_IMAGE)[:, known].all(axis=(1, 2))
    expected = np.where(matches, p, 0) / p[matches].sum()
    given = jnp.broadcast_to(x, (2, *x.shape)), jnp.array([1, 1]), jnp.broadcast_to(known, (2, *known.shape))
    complete = jax.jit(able.complete, static_argnums=6)
    found = complete(params, {}, jax.random.split(jax.random.key(0), 2), *given, num)
    assert found.mean is None
    drawn = np.asarray(found.x).reshape(2 * num, 8).astype(int) @ 2 ** np.arange(8)[::-1]
    np.testing.assert_allclose(np.bincount(drawn, minlength=256) / (2 * num), expected, atol=4 * np.sqrt(0.25 / num))


@pytest.mark.slow
@pytest.mark.parametrize("name", TOKENS)
def test_completions_know_of_known_pixels_that_come_after_them(name, monkeypatch):
    """The unknown pixels come first: with many candidates they have the probabilities that Bayes gives them."""
    system, known, num = system_of(TOKENS[name]), ~LAST[name], 2000
    params, able = random_params(system), require(system, Completes)
    params = jax.tree.map(lambda leaf: 3 * leaf, params)
    log_prob = jax.jit(require(system, ScoresExactly).log_prob)
    p, x = np.exp(log_prob(params, {}, jnp.asarray(EVERY_IMAGE), None)), EVERY_IMAGE[0b10110010]
    matches = (x == EVERY_IMAGE)[:, known].all(axis=(1, 2))
    expected = np.where(matches, p, 0) / p[matches].sum()
    keys, given = jax.random.split(jax.random.key(0), 1), (jnp.asarray(x)[None], None, jnp.asarray(known)[None])
    distances = []
    for candidates in (1, 100):
        monkeypatch.setattr("jaxvae.systems.autoregressive_completion.CANDIDATES", candidates)
        found = jax.jit(lambda params, keys: able.complete(params, {}, keys, *given, num))(params, keys)  # noqa: B023
        drawn = np.asarray(found.x).reshape(num, 8).astype(int) @ 2 ** np.arange(8)[::-1]
        distances.append(0.5 * np.abs(np.bincount(drawn, minlength=256) / num - expected).sum())
    assert distances[1] < 0.08
    assert distances[0] > 2 * distances[1]


def log_conditional(system, params, known):
    """log p(unknown | known) of all images by enumeration, [256]."""
    log_p = np.asarray(require(system, ScoresExactly).log_prob(params, {}, jnp.asarray(EVERY_IMAGE), None))
    same = (EVERY_IMAGE[:, None, known] == EVERY_IMAGE[None][:, :, known]).all(axis=(2, 3))
    return log_p - np.log(np.where(same, np.exp(log_p), 0).sum(axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("name", TOKENS)
def test_log_p_of_unknown_pixels_is_that_of_all_images(name):
    system, keys = system_of(TOKENS[name]), jax.random.split(jax.random.key(0), 256)
    params, able = random_params(system), require(system, ScoresCompletions)
    params = jax.tree.map(lambda leaf: 3 * leaf, params)
    log_prob = jax.jit(able.log_prob, static_argnums=6)
    x = jnp.asarray(EVERY_IMAGE)

    def found(known, num):
        return log_prob(params, {}, keys, x, None, jnp.broadcast_to(known, x.shape[:3]), num)

    last = LAST[name]
    np.testing.assert_allclose(found(last, 0), log_conditional(system, params, last), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found(last, 3), found(last, 0), rtol=1e-4, atol=1e-4)  # all weights are one
    first = log_conditional(system, params, ~last)
    np.testing.assert_allclose(found(~last, 2_000), first, atol=0.3)
    assert np.abs(np.mean(found(~last, 2_000) - first)) < 0.02
    assert np.abs(found(~last, 0) - first).max() > 0.5  # out of order it is not exact


def test_known_pixels_that_come_first_are_in_order():
    rows = {
        "####/####": (True, True),
        "..../....": (True, True),
        "####/#...": (True, False),
        "###./....": (True, False),
        "###./##..": (False, True),
        "##../##..": (False, True),
        "#.../##..": (False, True),
        "..##/####": (False, False),
        "####/.#..": (False, False),
    }
    for text, expected in rows.items():
        known = np.array([[pixel == "#" for pixel in row] for row in text.split("/")])[None]
        found = tuple(bool(require(system_of(one), ScoresCompletions).is_exact(known)[0]) for one in TOKENS.values())
        assert found == expected, text


@pytest.mark.parametrize("tokens", TOKENS.values(), ids=TOKENS)
def test_completion_keeps_known_pixels_of_every_image_and_draws_others(tokens):
    system = system_of(tokens)
    params, complete = random_params(system), jax.jit(require(system, Completes).complete, static_argnums=6)
    known = np.random.default_rng(1).random((256, 2, 4)) < 0.5
    keys = jax.random.split(jax.random.key(0), 256)
    x = np.asarray(complete(params, {}, keys, jnp.asarray(EVERY_IMAGE), None, jnp.asarray(known), 2).x)
    assert x.shape == (2, *EVERY_IMAGE.shape)
    changed = (x != EVERY_IMAGE)[..., 0]
    assert not changed[:, known].any()
    assert 0.3 < changed[:, ~known].mean() < 0.7
    again = complete(params, {}, keys[:3], jnp.asarray(EVERY_IMAGE[:3]), None, jnp.asarray(known[:3]), 2).x
    np.testing.assert_array_equal(again, x[:, :3])


def test_output_starts_at_the_mean_image():
    system = system_of(TOKENS["pixels"])
    x = np.concatenate([EVERY_IMAGE[:1], EVERY_IMAGE[-3:]])  # of three quarters of the images the first pixel is white
    params, _ = jax.jit(system.trainable.init)(
        jax.random.key(0), Batch(x.astype(np.uint8), None, np.ones(4, np.float32))
    )
    np.testing.assert_allclose(jax.nn.sigmoid(params["bias"]), np.mean(x, axis=0), atol=0.02)


@pytest.mark.slow
def test_training_learns_the_images_of_a_class_and_samples_the_classes_in_turn():
    system = system_of(TOKENS["blocks"], conditional=True)
    labels = np.arange(30, dtype=np.int32) % 3
    x = np.where(labels[:, None, None, None] == 1, 1, 0) * np.ones((30, *SPEC.shape))
    part = Dataset(x.astype(np.uint8), labels)
    settings = Settings(steps=120, batch_size=15, eval_every=120, log_every=60, eval_batch_size=30)
    best = fit(system, Splits(part, part, part), settings, layout=make_layout("scan")).best
    draw = jax.jit(require(system, Generates).sample, static_argnums=3)
    samples = draw(jax.random.key(0), best.params, best.model_state, 9).x
    np.testing.assert_array_equal(samples.mean(axis=(1, 2, 3)).round(), np.arange(9) % 3 == 1)


@pytest.mark.parametrize("tokens", TOKENS.values(), ids=TOKENS)
def test_samples_of_a_class_have_its_probabilities_and_those_of_a_temperature_their_power(tokens):
    system, num = system_of(tokens, conditional=True), 4000
    params, log_prob = random_params(system), jax.jit(require(system, ScoresExactly).log_prob)
    labels = jnp.full(num, 2)
    p = np.exp(log_prob(params, {}, jnp.asarray(EVERY_IMAGE), jnp.full(256, 2)))
    first = np.asarray(tokens.encode(jnp.asarray(EVERY_IMAGE)))[:, 0, 0].astype(int).ravel()
    of_first = np.bincount(first, p)  # the probabilities of the first token
    samples = jax.jit(require(system, GeneratesClasses).sample)(jax.random.key(0), params, {}, labels)
    cold = jax.jit(require(system, GeneratesTempered).sample)(jax.random.key(0), params, {}, labels, 0.5)
    assert samples.mean is None
    for drawn, expected in ((samples.x, of_first), (cold.x, of_first**2 / np.sum(of_first**2))):
        found = np.bincount(np.asarray(tokens.encode(drawn))[:, 0, 0].astype(int).ravel(), minlength=len(expected))
        np.testing.assert_allclose(found / num, expected, atol=5 / np.sqrt(4 * num))


def test_what_knows_no_classes_or_temperature_says_so():
    system = system_of(TOKENS["pixels"])
    assert find(system, GeneratesClasses) is None
    assert find(system, GeneratesTempered) is not None
    parts = replace(system.parts, likelihood=logistic_mixture(2))
    assert not any(isinstance(one, GeneratesTempered) for one in parts.use)


def test_tokens_are_undone():
    blocks = TOKENS["blocks"]
    assert (blocks.shape, blocks.num_codes) == ((1, 2), 16)
    codes = blocks.encode(jnp.asarray(EVERY_IMAGE))
    assert codes.shape == (256, 1, 2)
    np.testing.assert_array_equal(blocks.decode(codes), EVERY_IMAGE)
    grids = code_tokens((3, 3), 5)
    np.testing.assert_array_equal(grids.decode(grids.encode(codes)), codes)
    with pytest.raises(UserError, match="Blocks of 2x2 pixels do not divide images of 3x4: choose"):
        block_tokens(DataSpec((3, 4, 1), 2, 0), 2)
