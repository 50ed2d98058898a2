"""Posteriors fitted to one image each, against closed forms and quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae import MLP, VAE, GaussianPosterior, ImageDecoder, MLPEncoder, UserError, gaussian, systems
from jaxvae.applications import amortization
from jaxvae.applications.amortization import refit_posterior
from jaxvae.systems.pixels import unit_pixels
from jaxvae.types import Batch, Dataset, DataSpec

SPEC = DataSpec((2, 2, 1), 256, 0)
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 2, 2, 1)).astype(np.uint8)
SIGMA = 0.5


@pytest.fixture(scope="module")
def model():
    """p(x | z) = N(W z + b, sigma^2), whose posterior is a Gaussian of one variance and a linear mean."""
    of_pixels = gaussian(SIGMA)
    decoder = ImageDecoder(MLP(()), of_pixels.param_shapes(SPEC.shape))
    vae = VAE(MLPEncoder((6,)), GaussianPosterior(1), decoder, of_pixels)
    system = systems.vae_system(
        name="linear",
        spec=SPEC,
        vae=vae,
        prepare=unit_pixels(SPEC),
        bound=systems.closed_bound(vae),
        optimizer=optax.sgd(1.0),
    )
    params, _ = jax.jit(system.trainable.init)(jax.random.key(3), Batch(IMAGES, None, np.ones(5)))
    return vae, system, params


def test_the_refitted_posterior_is_the_true_one_where_that_is_gaussian(model, monkeypatch):
    vae, system, params = model
    monkeypatch.setattr(amortization, "BATCH", 3)  # the last one is padded
    found = refit_posterior(system, params, {}, Dataset(IMAGES, None), steps=600)

    # p(z | x) = N(s^2 w.(x - b) / sigma^2, s^2),  1 / s^2 = 1 + |w|^2 / sigma^2
    means = vae.apply({"params": params}, jnp.array([[0.0], [1.0]]), method="decode")
    b, w = np.asarray(means[0], np.float64).ravel(), np.asarray(means[1] - means[0], np.float64).ravel()
    x = IMAGES.reshape(5, -1) / 255.0
    precision = 1 + w @ w / SIGMA**2
    np.testing.assert_allclose(found.mean[:, 0], (x - b) @ w / SIGMA**2 / precision, atol=0.05)
    np.testing.assert_allclose(found.std[:, 0], precision**-0.5, rtol=0.05)

    # and the bound is log p(x) then, of N(b, w w^T + sigma^2 I).
    covariance = np.outer(w, w) + SIGMA**2 * np.eye(4)
    distance = np.einsum("ni,ij,nj->n", x - b, np.linalg.inv(covariance), x - b)
    log_px = -0.5 * (distance + np.linalg.slogdet(covariance)[1] + 4 * np.log(2 * np.pi))
    np.testing.assert_allclose(found.refitted_elbo, log_px, atol=0.01)
    assert np.all(found.elbo < log_px + 0.01)
    assert np.mean(found.refitted_elbo - found.elbo) > 0.05  # an untrained encoder has something to gain


def test_results_do_not_depend_on_the_number_of_images_at_once(model, monkeypatch):
    _, system, params = model
    found = []
    for size in (5, 2):
        monkeypatch.setattr(amortization, "BATCH", size)
        found.append(refit_posterior(system, params, {}, Dataset(IMAGES, None), steps=5))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_what_cannot_be_refitted_is_one_sentence(model):
    _, system, params = model
    with pytest.raises(UserError, match="steps is 0"):
        refit_posterior(system, params, {}, Dataset(IMAGES, None), steps=0)
    with pytest.raises(UserError, match=r"linear cannot give q\(z \| x\) as a Gaussian"):
        refit_posterior(system._replace(use=()), params, {}, Dataset(IMAGES, None))
