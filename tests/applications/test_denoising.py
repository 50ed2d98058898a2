"""Noise out of images: by a system, and by filters whose settings are chosen on other images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.applications import denoising, encoding
from jaxvae.applications.denoising import corrupt, denoise, fitted_filters, median, non_local_means
from jaxvae.errors import UserError
from jaxvae.likelihoods import bernoulli
from jaxvae.models import Autoencoder, DensePair
from jaxvae.systems.assemble import loaded
from jaxvae.systems.autoencoder import AutoencoderParts
from jaxvae.systems.pixels import unchanged, unit_pixels
from tests.linear import LENGTH, SHAPE, STD, A, B, W, linear_images, linear_system
from tests.squares import SPEC, batch_of_squares


def test_an_image_goes_through_the_system_noise_and_all(monkeypatch):
    model = Autoencoder([DensePair(SPEC.shape, 4)], bernoulli())
    system = loaded("autoencoder", AutoencoderParts(SPEC, model, unit_pixels(SPEC), unchanged), {})
    params, state = system.trainable.init(jax.random.key(0), batch_of_squares())
    x = np.random.default_rng(0).normal(0.5, 1.0, (7, *SPEC.shape)).astype(np.float32)
    want = jax.nn.sigmoid(model.apply({"params": params}, jnp.asarray(x)))
    np.testing.assert_allclose(denoise(system, params, state, x), want, rtol=1e-4)
    monkeypatch.setattr(encoding, "evaluation_batch_size", lambda spec: 3)
    np.testing.assert_allclose(denoise(system, params, state, x), want, rtol=1e-4)


def test_a_vae_gives_the_mean_image_over_its_posterior():
    system, params = linear_system()
    x = np.random.default_rng(0).normal(0.5, 0.3, (5, *SHAPE)).astype(np.float32)
    found = denoise(system, params, {}, x, jax.random.key(1), 4000)
    mean = (x.reshape(5, 6) - B) @ A.T @ W.T + B
    error = STD * LENGTH / np.sqrt(4000)
    np.testing.assert_allclose(found.reshape(5, 6), np.clip(mean, 0, 1), atol=5 * error)
    assert (found != denoise(system, params, {}, x, jax.random.key(2), 4000)).any()
    np.testing.assert_allclose(found[:2], denoise(system, params, {}, x[:2], jax.random.key(1), 4000), atol=1e-5)
    with pytest.raises(UserError, match="num_samples is 0, expected a whole number of at least 1"):
        denoise(system, params, {}, x, num_samples=0)


def test_noise_belongs_to_an_image_and_scales_with_its_level():
    x, key = linear_images(4), jax.random.key(0)
    noisy = corrupt(x, "gaussian", 0.2, key)
    np.testing.assert_array_equal(corrupt(x[:2], "gaussian", 0.2, key), noisy[:2])
    np.testing.assert_allclose(corrupt(x, "gaussian", 0.4, key) - x, 2 * (noisy - x), atol=1e-6)
    assert set(np.unique(corrupt(x, "salt_and_pepper", 1.0, key))) == {0, 1}
    for noise, level, message in (
        ("salt", 0.1, "The noise is 'salt', expected one of gaussian, masking, salt_and_pepper, dropout"),
        ("masking", 1.5, "The noise level is 1.5, expected 0 to 1 of masking"),
    ):
        with pytest.raises(UserError, match=message):
            corrupt(x, noise, level, key)


def test_settings_of_filters_are_chosen_on_the_images_given(monkeypatch):
    clean, calls = np.zeros((2, 12, 12, 1), np.float32), []
    monkeypatch.setattr(denoising, "median", lambda x, side: calls.append((len(x), side)) or x * 0 + (side != 5))
    monkeypatch.setattr(denoising, "non_local_means", lambda x, width: x)
    filters = fitted_filters(clean, clean)
    assert calls == [(2, 3), (2, 5)]
    assert not np.any(filters["median"](np.ones((7, 12, 12, 1), np.float32)))
    assert calls[-1] == (7, 5)


def test_a_median_takes_out_single_pixels():
    x = np.full((2, 8, 8, 1), 0.5, np.float32)
    x[:, 3, 3] = 1.0
    np.testing.assert_array_equal(median(x, 3), np.full_like(x, 0.5))


@pytest.mark.filterwarnings("ignore")
def test_a_non_local_filter_smooths_noise():
    noisy = np.clip(np.random.default_rng(0).normal(0.5, 0.1, (2, 12, 12, 1)), 0, 1).astype(np.float32)
    restored = non_local_means(noisy, 0.2)
    assert restored.shape == noisy.shape
    assert np.std(restored) < 0.5 * np.std(noisy)
