"""Rounded latents: what comes back is decoded from them, the words have their masses, and a rate is kept."""

import functools

import numpy as np
import pytest

from jaxvae.applications.compression.coder import Stream
from jaxvae.applications.compression.coders import image_coder
from jaxvae.errors import UserError
from jaxvae.evaluation import psnr
from jaxvae.likelihoods import gaussian
from jaxvae.models import VAE
from jaxvae.nets import MLP, ImageDecoder, MLPEncoder
from jaxvae.posteriors import UniformPosterior
from jaxvae.priors import BinnedPrior
from jaxvae.systems.pixels import unit_pixels
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import cosine_adam
from jaxvae.types import DataSpec
from tests.drawn import normal_like

SPEC, DIM = DataSpec((6, 5, 1), 256, 0), 4


@functools.cache
def made():
    """A system, parameters that are not those of a start, and images."""
    import jax

    decoder = ImageDecoder(MLP((8,)), gaussian().param_shapes(SPEC.shape))
    vae = VAE(MLPEncoder((8,)), UniformPosterior(DIM), decoder, gaussian(), BinnedPrior(DIM, 2))
    system = vae_system(
        name="lossy",
        spec=SPEC,
        vae=vae,
        prepare=unit_pixels(SPEC),
        bound=lambda *_: None,
        optimizer=cosine_adam(1e-3, 1),
    )
    x = np.random.default_rng(0).integers(0, 256, (37, *SPEC.shape)).astype(np.uint8)
    keys = jax.random.split(jax.random.key(0), 2)
    shapes = jax.eval_shape(lambda: vae.init(keys[0], keys, x[:2] / np.float32(255)))
    return system, normal_like(shapes, scale=0.7)["params"], x


def coder(**options):
    system, params, _ = made()
    return image_coder(system, params, {}, **options)


@pytest.mark.parametrize("num", [1, pytest.param(37, marks=pytest.mark.slow)])
def test_what_comes_back_is_decoded_from_rounded_latents(num):
    system, params, x = made()
    stream = coder().encode(x[:num])
    vae = system.parts.vae
    mean = vae.apply({"params": params}, x[:num] / np.float32(255), method="encode")
    rounded = vae.apply({"params": params}, np.rint(np.asarray(mean)), method="decode")
    expected = np.rint(255 * np.clip(np.asarray(rounded), 0, 1)).astype(np.uint8)
    np.testing.assert_array_equal(coder().decode(stream, num), expected)


def test_words_have_the_masses_of_the_prior():
    system, params, x = made()
    mean = system.parts.vae.apply({"params": params}, x / np.float32(255), method="encode")
    log_p = system.parts.vae.apply(
        {"params": params}, np.rint(np.asarray(mean)), method=lambda model, z: model.prior.log_prob(z)
    )
    np.testing.assert_allclose(coder().bound(x), -np.asarray(log_p), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(coder().bits_of_each(x).sum(), -log_p.sum() / np.log(2), rtol=1e-4)
    assert 32 * len(coder().encode(x).words) < coder().bits_of_each(x).sum() + 65


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_a_rate_is_kept_and_a_lower_one_costs_quality(rate):
    _, _, x = made()
    mean_rate = lambda rate: coder(rate=rate).bits_of_each(x).mean() / x[0].size  # noqa: E731
    assert mean_rate(rate) <= rate
    assert coder(rate=rate).encode(x).settings["step"] >= coder(rate=2 * rate).encode(x).settings["step"]


@pytest.mark.slow
def test_a_finer_step_is_nearer_to_what_is_not_rounded():
    system, params, x = made()
    vae = system.parts.vae
    mean = vae.apply({"params": params}, x / np.float32(255), method="encode")
    unrounded = np.clip(np.asarray(vae.apply({"params": params}, mean, method="decode")), 0, 1)
    errors = []
    for rate in (100.0, None, 1e-9):  # a quarter of a step, a step, the widest one
        one = coder(rate=rate)
        errors.append(float(psnr(unrounded, one.decode(one.encode(x), len(x)) / np.float32(255)).mean()))
    assert errors[0] > errors[1] > errors[2]


def test_what_no_coder_wrote_is_one_sentence():
    _, _, x = made()
    stream = coder().encode(x)
    for broken in (
        stream._replace(settings={}),
        stream._replace(settings={"step": 0}),
        Stream(stream.words[:-3], stream.settings, 0),
        Stream(np.append(stream.words, np.uint32(5)), stream.settings, 0),
    ):
        with pytest.raises(UserError, match="damaged"):
            coder().decode(broken, len(x))
    with pytest.raises(UserError, match="is a lossy VAE"):
        coder(lossless=True)
    for rate in (0, -1.0, float("nan"), "a"):
        with pytest.raises(UserError, match="expected bits per pixel value, more than 0"):
            coder(rate=rate)
