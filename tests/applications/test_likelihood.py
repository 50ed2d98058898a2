"""The likelihood of images, against an integral; results in batches of any size."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae import MLP, VAE, GaussianPosterior, ImageDecoder, MLPEncoder, UserError, bernoulli, systems
from jaxvae.applications import likelihood as application
from jaxvae.applications import reconstruction
from jaxvae.applications.likelihood import estimate_likelihood, log_likelihood
from jaxvae.systems.pixels import binary_pixels
from jaxvae.training import make_evaluator
from jaxvae.types import Batch, Dataset, DataSpec

SPEC = DataSpec((3, 3, 1), 2, 0)
IMAGES = np.random.default_rng(0).integers(0, 2, (7, 3, 3, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def model():
    of_pixels = bernoulli()
    decoder = ImageDecoder(MLP((6,)), of_pixels.param_shapes(SPEC.shape))
    vae = VAE(MLPEncoder((6,)), GaussianPosterior(1), decoder, of_pixels)
    system = systems.vae_system(
        name="tiny",
        spec=SPEC,
        vae=vae,
        prepare=binary_pixels(SPEC),
        bound=systems.closed_bound(vae),
        optimizer=optax.sgd(1.0),
    )
    params, _ = jax.jit(system.trainable.init)(jax.random.key(3), Batch(IMAGES, None, np.ones(7)))
    return vae, system, params


def test_estimate_likelihood_equals_quadrature_over_the_latent(model, monkeypatch):
    vae, system, params = model
    monkeypatch.setattr(application, "BATCH", 2)  # the last one is padded
    estimate = estimate_likelihood(system, params, {}, Dataset(IMAGES, None), 20_000)

    z = np.linspace(-8, 8, 4001)
    logits = np.asarray(vae.apply({"params": params}, jnp.asarray(z)[:, None], method="decode"), np.float64)
    x = IMAGES.astype(float)
    log_px = [(image * logits - np.logaddexp(0, logits)).reshape(len(z), -1).sum(axis=1) for image in x]
    density = np.exp(np.array(log_px) - 0.5 * z**2 - 0.5 * np.log(2 * np.pi))
    exact = np.log(np.trapezoid(density, z, axis=1))
    np.testing.assert_allclose(estimate.log_likelihood, exact, atol=0.02)
    found = log_likelihood(system, params, {}, Dataset(IMAGES, None), 20_000, jax.random.key(9))
    np.testing.assert_allclose(found, exact, atol=0.02)

    one_sample = make_evaluator(system, 7)(params, {}, Dataset(np.repeat(IMAGES, 400, axis=0), None))["elbo"]
    standard_error = one_sample.reshape(7, 400).std(axis=1) / 20
    assert np.all(np.abs(one_sample.reshape(7, 400).mean(axis=1) - estimate.elbo) < 5 * standard_error + 1e-3)


def test_a_system_without_a_likelihood_says_which_have_one(model):
    _, system, params = model
    with pytest.raises(UserError, match="tiny has no likelihood of images: expected one of autoregressive"):
        log_likelihood(system._replace(use=()), params, {}, Dataset(IMAGES, None))


def test_reconstructions_are_the_same_in_batches_of_any_size(model, monkeypatch):
    _, system, params = model
    found = []
    for size in (4, 3):
        monkeypatch.setattr(reconstruction, "evaluation_batch_size", lambda spec, size=size: size)
        found.append(reconstruction.reconstruct(system, params, {}, Dataset(IMAGES, None)))
    np.testing.assert_allclose(found[0].reconstructions, found[1].reconstructions, rtol=1e-6)
    np.testing.assert_array_equal(found[0].x, IMAGES)
    assert found[0].means[0].shape == (7, 1)
