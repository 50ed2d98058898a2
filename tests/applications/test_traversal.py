"""What single latents do, between the quantiles of the prior; and the statistics that order them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxvae import UserError
from jaxvae.applications.latents import LatentStatistics, latent_statistics
from jaxvae.applications.traversal import traverse
from jaxvae.capabilities import HasPrior, find
from jaxvae.likelihoods import bernoulli
from jaxvae.models import Autoencoder, DensePair
from jaxvae.priors import BernoulliPrior
from jaxvae.systems.assemble import loaded
from jaxvae.systems.autoencoder import AutoencoderParts
from jaxvae.systems.pixels import unchanged, unit_pixels
from jaxvae.systems.vae_parts import VAEParts
from jaxvae.types import Dataset
from tests.linear import SHAPE, SPEC, STD, A, B, W, linear_images, linear_system

KEY = jax.random.key(0)
STATISTICS = LatentStatistics((np.array([0.5, -1.0]),), (np.array([0.3, 0.9]),), None)


def autoencoder():
    model = Autoencoder([DensePair(SHAPE, 2)], bernoulli())
    system = loaded("autoencoder", AutoencoderParts(SPEC, model, unit_pixels(SPEC), unchanged), {})
    return system, model.init(KEY, jnp.zeros((1, *SHAPE)))["params"]


def test_each_latent_goes_through_the_quantiles_of_a_gaussian_prior_the_others_held():
    system, params = linear_system()
    code = np.array([0.2, -0.4])
    dims, values, images = traverse(system, params, {}, KEY, code, num=5)
    assert dims.tolist() == [0, 1]
    np.testing.assert_allclose(values, np.tile(stats.norm.ppf([0.05, 0.275, 0.5, 0.725, 0.95]), (2, 1)), atol=1e-5)
    assert values[0, -1] == pytest.approx(1.645, abs=1e-3)
    for row, dim in zip(images, dims, strict=True):
        z = np.tile(code, (5, 1))
        z[:, dim] = values[0]
        np.testing.assert_allclose(row.reshape(5, -1), np.clip(z @ W.T + B, 0, 1), atol=1e-5)


def test_statistics_say_where_and_in_what_order():
    system, params = linear_system()
    dims, values, images = traverse(system, params, {}, KEY, num=1, statistics=STATISTICS)
    assert dims.tolist() == [1, 0]
    np.testing.assert_allclose(values, 0.0, atol=1e-6)
    np.testing.assert_allclose(images[0, 0].ravel(), W @ [0.5, 0.0] + B, rtol=1e-5)
    without = traverse(system, params, {}, KEY, num=3)  # at the median of the prior
    np.testing.assert_allclose(without.images[1, 1].ravel(), B, rtol=1e-5)


def test_other_priors_have_quantiles_of_their_draws():
    system, params = linear_system()
    bits = system.parts.vae.clone(prior=BernoulliPrior(2))
    system = loaded("bits", VAEParts(SPEC, bits, system.prepare), {})
    params = {**params, "prior": {"logits": jnp.array([8.0, 0.0])}}  # a one, and a coin
    found = find(system, HasPrior).quantiles(params, {}, jnp.array([0.1, 0.9]))
    np.testing.assert_array_equal(found, [[1, 0], [1, 1]])


def test_an_autoencoder_has_the_range_of_its_codes():
    system, params = autoencoder()
    with pytest.raises(UserError, match="autoencoder has no prior, and was saved without the statistics of its codes"):
        traverse(system, params, {}, KEY)
    _, values, _ = traverse(system, params, {}, KEY, num=3, dims=[0], statistics=STATISTICS)
    np.testing.assert_allclose(values, [0.5 + 0.3 * stats.norm.ppf([0.05, 0.5, 0.95])], rtol=1e-4)


@pytest.mark.parametrize(("change", "message"), [
    ({"num": 0}, "num is 0, expected a whole number of at least 1"),
    ({"dims": [2]}, r"dims is \[2\], the latents are numbered from 0 to 1"),
    ({"dims": [-1]}, r"dims is \[-1\], the latents are numbered from 0 to 1"),
    ({"dims": []}, r"dims is \[\], expected whole numbers from 0 to 1"),
    ({"dims": [0.5]}, r"dims is \[0.5\], expected whole numbers from 0 to 1"),
    ({"code": [1.0]}, r"The codes are of shape \[1, 1\], those of linear of \[N, 2\]"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(change, message):
    system, params = linear_system()
    with pytest.raises(UserError, match=message):
        traverse(system, params, {}, KEY, **change)


def test_statistics_are_of_posterior_means_over_the_images(monkeypatch):
    system, params = linear_system()
    images = linear_images(40)
    means = (images.reshape(40, -1) - B) @ A.T
    found = latent_statistics(system, params, {}, Dataset(images, None))
    np.testing.assert_allclose(found.mean[0], means.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(found.std[0], means.std(axis=0), rtol=1e-4)
    np.testing.assert_allclose(found.posterior_std[0], [STD, STD], rtol=1e-5)
    monkeypatch.setattr("jaxvae.applications.latents.MOST_IMAGES", 4)
    found = latent_statistics(system, params, {}, Dataset(images, None))
    np.testing.assert_allclose(found.mean[0], means[[0, 13, 26, 39]].mean(axis=0), atol=1e-5)


def test_codes_that_are_not_finite_have_no_statistics():
    system, params = linear_system()
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, params)
    assert latent_statistics(system, broken, {}, Dataset(linear_images(3), None)) is None
    system, params = autoencoder()
    assert latent_statistics(system, params, {}, Dataset(linear_images(3), None)).posterior_std is None
