"""Decoders that read their own past, and images drawn from them."""

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae import sampling
from jaxvae.likelihoods import bernoulli, categorical, in_unit
from jaxvae.nets import AutoregressiveDecoder, PixelCNN, PixelRNN, Transformer

NUM_CODES = 5


NETS = {
    "pixelcnn": lambda inputs, size: PixelCNN(inputs, 6, num_layers=3, first_reach=2),
    "pixelrnn": lambda inputs, size: PixelRNN(inputs, 6, num_layers=2, first_reach=1),
    "transformer": lambda inputs, size: Transformer(inputs, size, 8, num_layers=2, num_heads=2),
}


@functools.cache
def binary(name, size=(4, 3), context=None):
    """A decoder of binary images whose context are classes, and its parameters, far from the initial ones."""
    likelihood = bernoulli()
    of_classes = nn.Embed(3, 4) if context else None
    shapes = likelihood.param_shapes((*size, 1))
    decoder = AutoregressiveDecoder(NETS[name](1, size), shapes, context=of_classes, latent_axes=0)
    z = jnp.zeros(2, jnp.int32) if context else None
    return decoder, likelihood, moved(decoder, z, jnp.zeros((2, *size, 1)))


@functools.cache
def coded(name, size=(3, 4)):
    likelihood = categorical(NUM_CODES)
    shapes = likelihood.param_shapes(size)
    decoder = AutoregressiveDecoder(NETS[name](7, size), shapes, num_codes=NUM_CODES, embed_features=7)
    return decoder, likelihood, moved(decoder, None, jnp.zeros((2, *size), jnp.int32))


def moved(decoder, z, x):
    """Parameters by numpy, whose draws need no compilation: of layers, variance 1 / fan_in, and some noise."""
    shapes = jax.eval_shape(decoder.init, jax.random.key(0), z, x)["params"]
    generator = np.random.default_rng(0)
    draw = lambda leaf: generator.standard_normal(leaf.shape, np.float32)  # noqa: E731
    return jax.tree.map(lambda leaf: draw(leaf) * np.float32(1.5 / np.prod(leaf.shape[:-1]) ** 0.5 + 0.1), shapes)


def test_images_of_several_values_enter_and_are_drawn_in_unit():
    likelihood = in_unit(categorical(3), 3)
    decoder = AutoregressiveDecoder(NETS["pixelcnn"](1, (2, 2)), likelihood.param_shapes((2, 2, 1)))
    x = jnp.array(list(itertools.product((0.0, 0.5, 1.0), repeat=4))).reshape(-1, 2, 2, 1)
    params = moved(decoder, None, x)
    of_x = jax.jit(decoder.apply)({"params": params}, None, x)
    log_prob = np.asarray(jax.vmap(likelihood.log_prob)(of_x, x), np.float64)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-5)
    keys = jax.random.split(jax.random.key(0), 2_000)
    drawn = jax.jit(functools.partial(sampling.autoregressive, decoder, params, draw=likelihood.sample))(keys)
    values, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_array_equal(values, [0.0, 0.5, 1.0])
    expected = np.exp(log_prob) @ np.stack([(x == value).sum((1, 2, 3)) for value in values], axis=1)
    np.testing.assert_allclose(counts / 2_000, expected, atol=0.1)
    with pytest.raises(ValueError, match="expected a likelihood with a log_pmf"):
        sampling.restricted_draw(likelihood)


@pytest.mark.parametrize("size", [(2, 2), (2, 3)])
@pytest.mark.parametrize("name", NETS)
def test_probabilities_of_all_binary_images_sum_to_one(name, size):
    decoder, likelihood, params = binary(name, size)
    pixels = size[0] * size[1]
    x = jnp.array(list(itertools.product((0.0, 1.0), repeat=pixels))).reshape(-1, *size, 1)
    logits = jax.jit(decoder.apply)({"params": params}, None, x)
    log_prob = np.asarray(jax.vmap(likelihood.log_prob)(logits, x), np.float64)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-5)
    assert np.std(logits, axis=0).max() > 0.05  # pixels do depend on each other


@pytest.mark.parametrize(("kind", "name"), [(binary, name) for name in NETS] + [(coded, "pixelcnn")])
def test_the_cache_changes_no_draw(name, kind):
    decoder, likelihood, params = kind(name)
    keys = jax.random.split(jax.random.key(3), 20)
    draw = functools.partial(sampling.autoregressive, decoder, params, draw=likelihood.sample)
    fast, slow = (jax.jit(functools.partial(draw, cached=cached)) for cached in (True, False))
    x = fast(keys)
    np.testing.assert_array_equal(x, slow(keys))
    assert len(np.unique(np.asarray(x).reshape(20, -1), axis=0)) > 10
    others = jax.random.split(jax.random.key(4), 20).at[4].set(keys[4])
    again = fast(others)
    np.testing.assert_array_equal(again[4], x[4])  # an image depends on its own key alone
    assert np.any(again != x)


def test_every_pixel_draws_with_noise_of_its_own():
    decoder, likelihood, params = binary("pixelcnn", (2, 3))
    keys = jax.random.split(jax.random.key(3), 40)
    x = jax.jit(functools.partial(sampling.autoregressive, decoder, params, draw=likelihood.sample))(keys)
    apply, one = jax.jit(decoder.apply), jax.jit(jax.vmap(likelihood.sample))
    by_hand = jnp.zeros((40, 2, 3, 1))
    for place, (i, j) in enumerate(np.ndindex(2, 3)):
        of_pixel = jax.vmap(jax.random.fold_in, (0, None))(keys, place)
        by_hand = by_hand.at[:, i, j].set(one(of_pixel, apply({"params": params}, None, by_hand)[:, i, j]))
    np.testing.assert_array_equal(x, by_hand)


def test_draws_have_the_probabilities_of_the_images():
    decoder, likelihood, params = binary("pixelcnn", (2, 2))
    keys = jax.random.split(jax.random.key(5), 20_000)
    x = jax.jit(functools.partial(sampling.autoregressive, decoder, params, draw=likelihood.sample))(keys)
    index = np.asarray(x).reshape(-1, 4) @ [8, 4, 2, 1]
    found = np.bincount(index.astype(int), minlength=16) / len(keys)
    every = jnp.array(list(itertools.product((0.0, 1.0), repeat=4))).reshape(16, 2, 2, 1)
    logits = jax.jit(decoder.apply)({"params": params}, None, every)
    expected = np.exp(jax.vmap(likelihood.log_prob)(logits, every))
    assert np.all(np.abs(found - expected) < 5 * np.sqrt(expected * (1 - expected) / len(keys)) + 1e-4)


def test_a_class_is_what_images_depend_on():
    decoder, likelihood, params = binary("pixelcnn", context="classes")
    keys = jax.random.split(jax.random.key(3), 9)
    classes = jnp.repeat(jnp.arange(3), 3)
    draw = functools.partial(sampling.autoregressive, decoder, params, draw=likelihood.sample)
    fast, slow = (jax.jit(functools.partial(draw, cached=cached))(keys, z=classes) for cached in (True, False))
    np.testing.assert_array_equal(fast, slow)
    same = jnp.broadcast_to(fast[:1], fast.shape)
    logits = jax.jit(decoder.apply)({"params": params}, classes, same)
    assert np.all(np.abs(logits[3:] - logits[:1]).max(axis=(1, 2, 3)) > 1e-3)
    np.testing.assert_allclose(logits[1], logits[0], atol=1e-5)


def test_latents_with_samples_and_maps_are_contexts():
    likelihood = bernoulli()

    class Map(nn.Module):
        @nn.compact
        def __call__(self, z):
            return nn.Dense(4 * 3 * 2)(z).reshape(*z.shape[:-1], 4, 3, 2)

    x = jax.random.bernoulli(jax.random.key(0), 0.5, (5, 4, 3, 1)).astype(jnp.float32)
    vectors = jax.random.normal(jax.random.key(1), (2, 5, 6))
    codes = jnp.arange(40).reshape(2, 5, 2, 2) % 7
    of_codes = nn.Sequential([nn.Embed(7, 3), lambda h: h.reshape(*h.shape[:-3], -1), Map()])
    for context, z, latent_axes in ((Map(), vectors, 1), (nn.Dense(3), vectors, 1), (of_codes, codes, 2)):
        shapes = likelihood.param_shapes((4, 3, 1))
        decoder = AutoregressiveDecoder(NETS["pixelcnn"](1, (4, 3)), shapes, context=context, latent_axes=latent_axes)
        params = moved(decoder, z, x)
        logits = jax.jit(decoder.apply)({"params": params}, z, x)
        assert logits.shape == (2, 5, 4, 3, 1)
        one = jax.jit(decoder.apply)({"params": params}, z[1, 2:3], x[2:3])
        np.testing.assert_allclose(one[0], logits[1, 2], rtol=1e-4, atol=1e-5)
        assert np.abs(logits[1] - logits[0]).max() > 1e-2


def test_known_pixels_are_kept_and_condition_the_others():
    decoder, likelihood, params = binary("pixelcnn")
    keys = jax.random.split(jax.random.key(3), 200)
    given = jnp.broadcast_to((jnp.arange(12) % 2.0).reshape(4, 3, 1), (200, 4, 3, 1))
    known = jnp.arange(12).reshape(4, 3) < 7
    complete = functools.partial(sampling.autoregressive, decoder, params, keys, likelihood.sample, known=known)
    one = jax.jit(complete)(given=given)
    np.testing.assert_array_equal(one[:, known], given[:, known])
    free = jax.jit(functools.partial(sampling.autoregressive, decoder, params, keys, likelihood.sample))()
    assert not np.array_equal(free[:, known], given[:, known])
    other = jax.jit(complete)(given=1.0 - given)
    assert not np.array_equal(other[:, ~known], one[:, ~known])


def test_restricted_draws_take_the_likely_values():
    codes = categorical(NUM_CODES)
    logits = jnp.log(jnp.array([0.05, 0.4, 0.25, 0.2, 0.1]))
    keys = jax.random.split(jax.random.key(0), 4000)

    def frequencies(**options):
        values = jax.jit(jax.vmap(sampling.restricted_draw(codes, **options), (0, None)))(keys, logits)
        return np.bincount(values.astype(int), minlength=NUM_CODES) / len(keys)

    close = functools.partial(np.testing.assert_allclose, atol=0.04)
    close(frequencies(), [0.05, 0.4, 0.25, 0.2, 0.1])
    close(frequencies(top_k=2), [0, 0.4 / 0.65, 0.25 / 0.65, 0, 0])
    close(frequencies(top_p=0.6), [0, 0.4 / 0.65, 0.25 / 0.65, 0, 0])
    close(frequencies(top_p=0.66), [0, 0.4 / 0.85, 0.25 / 0.85, 0.2 / 0.85, 0])
    squares = np.array([0.05, 0.4, 0.25, 0.2, 0.1]) ** 2
    close(frequencies(temperature=0.5), squares / squares.sum())
    close(frequencies(temperature=0.5, top_k=1), [0, 1, 0, 0, 0])
    close(frequencies(top_p=1e-6), [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(frequencies(top_k=9, top_p=1.0), frequencies())


@pytest.mark.parametrize(
    ("num", "options", "allowed"),
    [
        (NUM_CODES, {"top_k": 1}, 1),
        (NUM_CODES, {"top_k": 3}, 3),
        (NUM_CODES, {"top_k": 9}, 5),
        (10, {"top_p": 0.1}, 1),
        (10, {"top_p": 0.11}, 2),
        (10, {"top_p": 0.3}, 3),
        (7, {"top_p": 3 / 7}, 3),
        (10, {"top_k": 5, "top_p": 0.4}, 2),
        (10, {"top_p": 1e-9}, 1),
        (10, {"top_p": 1.0}, 10),
    ],
)
def test_of_equally_likely_values_no_more_are_drawn_than_asked_for(num, options, allowed):
    draw = jax.jit(jax.vmap(sampling.restricted_draw(categorical(num), **options), (0, None)))
    values = draw(jax.random.split(jax.random.key(0), 500), jnp.zeros((2, num)))
    assert sorted(set(np.ravel(values).astype(int).tolist())) == list(range(allowed))


def test_ties_below_the_most_likely_value_go_to_the_lower_values():
    logits = jnp.array([0.0, 2.0, 1.0, 1.0, 1.0])
    draw = jax.jit(jax.vmap(sampling.restricted_draw(categorical(5), top_k=3), (0, None)))
    values = draw(jax.random.split(jax.random.key(0), 2_000), logits)
    weights = np.array([0.0, np.e, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(np.bincount(values.astype(int), minlength=5) / 2_000, weights / weights.sum(), atol=0.04)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k is 0, expected at least 1"),
        ({"top_p": 0.0}, "top_p is 0.0, expected more than 0"),
        ({"top_p": 1.1}, "top_p is 1.1, expected more than 0 and at most 1"),
        ({"temperature": 0.0}, "temperature is 0.0, expected more than 0"),
    ],
)
def test_restrictions_that_make_no_sense_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        sampling.restricted_draw(categorical(NUM_CODES), **options)
    with pytest.raises(ValueError, match="expected a likelihood with a log_pmf"):
        sampling.restricted_draw(bernoulli()._replace(log_pmf=None))


def test_mistakes_are_named():
    decoder, likelihood, params = binary("pixelcnn")
    with pytest.raises(ValueError, match=r"x has shape \[2, 4, 4, 1\], expected \[any, 4, 3, any\]"):
        decoder.apply({"params": params}, None, jnp.zeros((2, 4, 4, 1)))
    with pytest.raises(ValueError, match=r"x\[1, 3, 0, 0\] is 2.0, expected 0 to 1"):
        decoder.apply({"params": params}, None, jnp.zeros((2, 4, 3, 1)).at[1, 3, 0, 0].set(2.0))
    with pytest.raises(ValueError, match=r"needs x, got None: draw images by sampling.autoregressive"):
        decoder.apply({"params": params}, None, None)
    of_codes, _, params_of_codes = coded("pixelcnn")
    with pytest.raises(ValueError, match=r"x\[0, 0, 2\] is -1, expected 0 to 4"):
        of_codes.apply({"params": params_of_codes}, None, jnp.zeros((2, 3, 4), jnp.int32).at[0, 0, 2].set(-1))
    of_classes, _, params_of_classes = binary("pixelcnn", context="classes")
    with pytest.raises(ValueError, match=r"z\[1\] is 3, expected 0 to 2"):
        of_classes.apply({"params": params_of_classes}, jnp.array([0, 3]), jnp.zeros((2, 4, 3, 1)))
    keys = jax.random.split(jax.random.key(0), 2)
    draw = functools.partial(sampling.autoregressive, decoder, params, keys, likelihood.sample)
    with pytest.raises(ValueError, match="takes both, `given` and `known`"):
        draw(given=jnp.zeros((2, 4, 3, 1)))
    with pytest.raises(ValueError, match=r"given has shape \[2, 3, 3, 1\], expected \[2, 4, 3, 1\]"):
        draw(given=jnp.zeros((2, 3, 3, 1)), known=jnp.ones((3, 3), bool))
    per_image = {
        "weights": jax.ShapeDtypeStruct((2,), jnp.float32),
        "logits": jax.ShapeDtypeStruct((4, 3, 1, 2), jnp.float32),
    }
    with pytest.raises(ValueError, match="cannot be read pixel by pixel, expected those of a likelihood whose every"):
        AutoregressiveDecoder(NETS["pixelcnn"](1, (4, 3)), per_image).init(
            jax.random.key(0), None, jnp.zeros((2, 4, 3, 1))
        )
