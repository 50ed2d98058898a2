"""Bits back: images of VAEs come back, with the bits that it began with."""

import functools

import jax
import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.applications.compression.batches import batch_sizes
from jaxvae.applications.compression.bits_back import SETTINGS
from jaxvae.applications.compression.entropy import Stack
from jaxvae.applications.compression.grids import Gaussians
from jaxvae.flows import CouplingFlow
from jaxvae.priors import FlowPrior
from tests.applications.compression import models
from tests.applications.compression.models import COLOUR, GREY, assert_comes_back, bits

MODELS = {
    "VAE": models.vae,
    "of a RealNVP prior": lambda: calmed(models.vae(prior=FlowPrior(CouplingFlow(3, 2, (5,))))),
    "top-down": models.top_down,
    "Bit-Swap": models.hierarchical,
    "grey mixture": lambda: models.vae(GREY, "logistic_mixture"),
    "colour mixture": lambda: models.vae(COLOUR, "logistic_mixture"),
    "categorical": lambda: models.vae(GREY, "categorical"),
    "pixel by pixel": models.pixel_vae,
    "pixel by pixel, a chain of latents": lambda: models.hierarchical(
        decoder=models.pixel_vae().system.parts.vae.decoder
    ),
    "colours pixel by pixel": lambda: models.pixel_vae(COLOUR, "logistic_mixture"),
}


@functools.cache
def model_of(name):
    return MODELS[name]()


def test_images_come_back_whatever_their_number():
    model = model_of("VAE")
    coder, images = model.coder(), model.images(70)
    assert (coder.name, coder.num_values, coder.lossless) == ("bits back", 2, True)
    for num in (1, 17):
        stream = assert_comes_back(coder, images[:num])
        assert set(stream.settings) == set(SETTINGS)
        assert 0 <= stream.initial_bits <= bits(stream)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_images_of_every_model_come_back(name):
    model = model_of(name)
    coder, images = model.coder(), model.images(40)
    for num in (1, 3, 40):
        assert_comes_back(coder, images[:num])
    generator = np.random.default_rng(0)
    for values in (0, coder.num_values - 1, generator.integers(0, coder.num_values, images.shape)):  # unlikely ones too
        assert_comes_back(coder, np.broadcast_to(np.uint8(values), images.shape)[:17])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VAE", "of a RealNVP prior", "top-down", "Bit-Swap", "pixel by pixel"])
def test_the_rate_is_that_of_the_bound(name):
    """Beyond the bits that it begins with, of images that the model draws."""
    model = calmed(model_of(name))
    coder, images = model.coder(), model.images(4000)
    stream = coder.encode(images)
    expected = coder.bound(images).sum() / np.log(2.0)
    assert abs((bits(stream) - stream.initial_bits) / expected - 1) < 0.02


def calmed(model):
    """With latents that are nearer to their prior: those that are far from it are coded otherwise."""
    return model._replace(params=jax.tree.map(lambda leaf: np.float32(0.4) * leaf, model.params))


def test_latents_that_are_far_outside_of_a_prior_are_refused():
    stack = Stack.random(10)
    far = np.array([10_000]), Gaussians(np.zeros(1), np.ones(1), 4096)
    for push in (stack.push_cells, stack.push_near_cells):
        with pytest.raises(UserError, match="too far outside"):
            push(*far)


def test_words_of_another_model_or_number_are_refused():
    model, other = model_of("VAE"), models.vae(dim=4)
    images = model.images(30)
    stream = model.coder().encode(images)
    cases = [
        (other.coder(), stream, 30),
        (model.coder(), stream, 29),
        (model.coder(), stream, 31),
        (model.coder(), stream._replace(words=stream.words[:-1]), 30),
        (model.coder(), stream._replace(words=stream.words ^ np.uint32(1)), 30),
        (model.coder(), stream._replace(settings={"first": 1}), 30),
    ]
    for coder, words, num in cases:
        with pytest.raises(UserError, match="damaged"):
            coder.decode(words, num)


def test_latents_that_are_no_numbers_are_refused():
    model = model_of("VAE")
    broken = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), model.params["posterior"])
    broken = model._replace(params={**model.params, "posterior": broken})
    with pytest.raises(UserError, match="no finite numbers"):
        broken.coder().encode(model.images(2))


@pytest.mark.parametrize("num", [1, 2, 255, 256, 257, 10_000])
def test_batches_grow_by_a_part_of_what_came_before(num):
    for first, growth, most in ((1, 32, 256), (5, 1, 256), (3, 255, 10), (1000, 64, 64)):
        sizes = list(batch_sizes(num, {"first": first, "growth": growth}, most))
        assert sum(sizes) == num
        assert sizes[0] == min(first, most, num)
        assert max(sizes) <= most
        before = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        assert (sizes <= np.maximum(first, before * growth / 32)).all()


def test_one_image_costs_its_latents():
    coder, images = model_of("VAE").coder(), model_of("VAE").images(100)
    one, many = coder.encode(images[:1]), coder.encode(images)
    assert one.initial_bits > 0.3 * bits(one)
    assert many.initial_bits < 0.2 * bits(many)


@pytest.mark.slow
def test_likely_images_have_no_more_initial_bits_than_words():
    """Of an image that the model is sure of, a sample of the bound may be below 0."""
    model = model_of("VAE")
    params = jax.tree.map(np.zeros_like, model.params)
    bias = np.full_like(params["decoder"]["bias"], -30.0)
    sure = model._replace(params={**params, "decoder": {**params["decoder"], "bias": bias}})
    blank = np.zeros_like(model.images(1))
    stream = assert_comes_back(sure.coder(), blank)
    assert stream.initial_bits <= bits(stream)


@pytest.mark.slow
def test_images_after_many_blank_ones_come_back():
    """The first images say how large blocks are; those after them may need smaller ones."""
    model = model_of("VAE")
    bias = np.full_like(model.params["decoder"]["bias"], -30.0)
    kernel = jax.tree.map(lambda leaf: 8.0 * leaf, model.params["decoder"])
    wild = model._replace(params={**model.params, "decoder": {**kernel, "bias": bias}})
    assert_comes_back(wild.coder(), np.concatenate([np.zeros_like(model.images(64)), model.images(600)]))
