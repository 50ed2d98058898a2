"""Images coded token by token: by autoregressive models, and by codes under their prior."""

import functools
import itertools

import jax
import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.applications.compression.autoregressive import SETTINGS
from jaxvae.applications.compression.tokens import stepped_tokens
from jaxvae.applications.compression.values import bit_logits
from jaxvae.capabilities import Codes, ScoresExactly, require
from jaxvae.codable import HasTokens
from jaxvae.systems.assemble import loaded
from jaxvae.types import DataSpec
from tests.applications.compression import models
from tests.applications.compression.models import COLOUR, GREY, assert_comes_back, bits

EXACT = {
    "pixels": models.autoregressive,
    "blocks": lambda: models.autoregressive(block=2),
    "pixelrnn": lambda: models.autoregressive(net="pixelrnn"),
    "transformer": lambda: models.autoregressive(net="transformer", block=2),
    "categorical": lambda: models.autoregressive(GREY, "categorical"),
    "three values": lambda: models.autoregressive(DataSpec((2, 5, 1), 3, 0), "categorical"),
    "colours": lambda: models.autoregressive(COLOUR, "logistic_mixture"),
    "binary colours": lambda: models.autoregressive(DataSpec((3, 2, 3), 2, 0)),
    "sure": lambda: models.autoregressive(scale=1e4),  # of logits of all sizes
}
CODES = {
    "codes": models.codes_and_prior,
    "two grids": lambda: models.codes_and_prior(DataSpec((8, 7, 1), 2, 0), "bernoulli", levels=2),
    "several codes a place": lambda: models.codes_and_prior(COLOUR, num_groups=2),
    "of a density": lambda: models.codes_and_prior(GREY, "gaussian"),
}


@functools.cache
def model_of(name):
    return (EXACT | CODES)[name]()


def test_images_come_back_whatever_their_number():
    model = model_of("blocks")
    coder, images = model.coder(), model.images(70)
    assert (coder.name, coder.num_values, coder.lossless) == ("autoregressive", 2, True)
    for num in (1, 17):
        stream = assert_comes_back(coder, images[:num])
        assert stream.initial_bits == 0
        assert tuple(stream.settings) == SETTINGS[:2]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_images_of_every_model_come_back(name):
    model = model_of(name)
    coder = model.coder()
    images, generator = model.images(40), np.random.default_rng(0)
    for num in (1, 3, 40):
        assert_comes_back(coder, images[:num])
    for values in (0, coder.num_values - 1, generator.integers(0, coder.num_values, images.shape)):  # unlikely ones too
        assert_comes_back(coder, np.broadcast_to(np.uint8(values), images.shape)[:17])


@pytest.mark.slow
def test_images_fewer_and_more_than_go_through_the_networks_at_a_time_come_back():
    model = model_of("pixels")
    images = model.images(600)
    for num in (2, 4, 5, 255, 256, 257, 600):
        assert_comes_back(model.coder(), images[:num])


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in EXACT if name not in ("blocks", "sure")]


@pytest.mark.parametrize("name", ["blocks", *SLOW])
def test_the_rate_is_that_of_the_likelihood(name):
    model = model_of(name)
    coder, images = model.coder(), model.images(1000)
    bound = coder.bound(images)
    x = images / np.float32(coder.num_values - 1)
    exact = jax.jit(require(model.system, ScoresExactly).log_prob)(model.params, model.model_state, x, None)
    np.testing.assert_allclose(bound, -exact, rtol=1e-4)
    assert abs(bits(coder.encode(images)) / (bound.sum() / np.log(2.0)) - 1) < 0.005


@pytest.mark.slow
def test_words_of_another_model_or_number_are_refused():
    model = model_of("blocks")
    images = model.images(30)
    stream = model.coder().encode(images)
    cases = [
        (model.coder(), stream, 29),
        (model.coder(), stream, 31),
        (model.coder(), stream._replace(words=stream.words[:-2]), 30),
        (model.coder(), stream._replace(words=np.append(stream.words, np.uint32(1))), 30),
        (model.coder(), stream._replace(settings={"token_block": 1}), 30),
        (model.coder(), stream._replace(settings=stream.settings | {"token_share": 256}), 30),
        (model.coder(), stream._replace(settings=dict.fromkeys(SETTINGS, 1)), 30),
    ]
    for coder, words, num in cases:
        with pytest.raises(UserError, match="damaged"):
            coder.decode(words, num)


@pytest.mark.slow
def test_words_are_not_the_same_images_of_another_model():
    model, other = model_of("blocks"), models.autoregressive(net="transformer")
    images = model.images(30)
    stream = model.coder().encode(images)
    try:  # any words are some images of any model
        found = other.coder().decode(stream, 30)
    except UserError:
        return
    assert not np.array_equal(found, images)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["blocks", "colours"])
def test_steps_give_the_logits_of_all_places_at_once(name):
    """Of every bit given those before it, within less than what is tolerated."""
    model = model_of(name)
    tokens = require(model.system, HasTokens)
    (steps,) = tokens.grids
    x = (model.images(5) / np.float32(tokens.num_values - 1)).astype(np.float32)
    numbers = np.asarray(tokens.encode(model.params, {}, x)[0])
    given = model.params, {}, np.zeros(5, np.int32)
    coder = stepped_tokens(steps, *given[:2], given[2][:1])
    found = coder.logits(given, numbers)
    depth, channels = len(bit_logits(np.zeros(steps.num_values))), steps.shape[-1]
    assert found.shape == (np.prod(steps.shape) * depth, 5, 1) == (*coder.bits(numbers).shape[:2], 1)
    parts = model.system.parts
    of_all = jax.jit(parts.decoder.apply)({"params": model.params}, None, parts.tokens.encode(x))
    stages = iter(found[..., 0])
    for i, j, c in itertools.product(*map(range, steps.shape)):
        of_token = jax.tree.map(lambda leaf: leaf[:, i, j], of_all)  # noqa: B023
        tree = bit_logits(steps.log_pmf(of_token, numbers[:, i, j], c))
        for r, of_bit in enumerate(tree):
            prefix = numbers[:, i, j, c] >> (depth - r)
            expected = np.asarray(of_bit)[np.arange(5), prefix]
            np.testing.assert_allclose(next(stages), expected, rtol=1e-4, atol=1e-4)
    assert coder.pixels.max() + 1 == np.prod(steps.shape) // channels


def test_probabilities_that_are_no_numbers_are_refused():
    model = model_of("pixels")
    broken = model._replace(params=jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), model.params))
    with pytest.raises(UserError, match="are no numbers"):
        broken.coder().encode(model.images(2))


@pytest.mark.slow
@pytest.mark.parametrize("num_classes", [1, 3])
def test_a_model_of_classes_codes_the_likeliest_one_too(num_classes):
    model = models.autoregressive(num_classes=num_classes)
    coder, values = model.coder(), model.images(30)
    stream = coder.encode(values)
    np.testing.assert_array_equal(coder.decode(stream, 30), values)
    log_prob = require(model.system, ScoresExactly).log_prob
    x = values.astype(np.float32)
    each = [log_prob(model.params, {}, x, np.full(30, label, np.int32)) for label in range(num_classes)]
    np.testing.assert_allclose(coder.bound(values), np.log(num_classes) - np.max(each, axis=0), rtol=1e-5)
    expected = coder.bound(values).sum() / np.log(2.0)
    assert -0.01 * expected < bits(stream) - expected < 0.02 * expected + 64
    np.testing.assert_allclose(coder.bits_of_each(values).sum(), expected, rtol=0.01)


@pytest.mark.slow
def test_codes_given_classes_come_back():
    model = models.codes_and_prior(num_classes=3)
    coder = model.coder(lossless=True)
    values = model.images(9)
    np.testing.assert_array_equal(coder.decode(coder.encode(values), 9), values)


# ---------- codes


@pytest.mark.slow
@pytest.mark.parametrize("name", CODES)
def test_codes_give_the_images_that_they_stand_for(name):
    model = model_of(name)
    coder = model.coder()
    assert (coder.name, coder.lossless) == ("codes", False)
    values = np.random.default_rng(0).integers(0, coder.num_values, (40, *model.system.spec.shape)).astype(np.uint8)
    codes, args = require(model.system, Codes), (model.params, model.model_state)
    x = (values / np.float32(coder.num_values - 1)).astype(np.float32)
    expected = jax.jit(lambda x: codes.decode(*args, codes.encode(*args, x)))(x)
    expected = np.clip(expected, 0, 1) * (coder.num_values - 1)
    for num in (1, 17, 40):
        stream = coder.encode(values[:num])
        found = coder.decode(stream, num)
        assert found.dtype == np.uint8
        assert np.abs(found - expected[:num]).max() <= 0.501
    expected = coder.bound(values).sum() / np.log(2.0)
    assert -0.01 * expected < bits(stream) - expected < 0.01 * expected + 64
    with pytest.raises(UserError, match="damaged"):
        coder.decode(stream._replace(words=stream.words[:-2]), 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["codes", "two grids", "several codes a place"])
def test_what_codes_leave_open_brings_the_images_back(name):
    model = model_of(name)
    coder = model.coder(lossless=True)
    assert (coder.name, coder.lossless) == ("codes", True)
    values = np.random.default_rng(0).integers(0, coder.num_values, (40, *model.system.spec.shape)).astype(np.uint8)
    for num in (1, 17, 40):
        stream = assert_comes_back(coder, values[:num])
    assert tuple(stream.settings) == SETTINGS
    np.testing.assert_array_equal(model.coder().decode(stream, 40), values)  # the words say that the pixels are there
    assert coder.bound(values).sum() > model.coder().bound(values).sum()


def test_images_of_a_density_do_not_come_back():
    with pytest.raises(UserError, match="has a density of pixel values"):
        model_of("of a density").coder(lossless=True)


def test_codes_without_a_prior_are_refused():
    codec = loaded("vqvae", models.vqvae_parts(GREY, "gaussian"), {})
    with pytest.raises(UserError, match="train a prior over them"):
        models.Model(codec, {}, {}).coder()


def test_a_vae_of_a_density_is_refused():
    with pytest.raises(UserError, match="has no probabilities to code images by"):
        models.vae(GREY, "gaussian").coder()
