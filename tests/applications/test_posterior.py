"""Moments of q(z | x): exact for a Gaussian, of draws for others."""

import jax
import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.applications.posterior import posterior
from jaxvae.capabilities import Infers
from jaxvae.types import Dataset
from tests.linear import STD, A, B, linear_images, linear_system

KEY = jax.random.key(0)


def test_moments_of_a_gaussian_are_exact_and_those_of_draws_are_near():
    system, params = linear_system()
    images = linear_images(20)
    (mean,), (std,) = posterior(system, params, {}, Dataset(images, None), KEY)
    np.testing.assert_allclose(mean, (images.reshape(20, -1) - B) @ A.T, atol=1e-4)
    np.testing.assert_allclose(std, np.full((20, 2), STD), rtol=1e-4)
    drawn = system._replace(use=tuple(one for one in system.use if not isinstance(one, Infers)))
    (again,), (spread,) = posterior(drawn, params, {}, Dataset(images, None), KEY)
    assert np.abs(again - mean).max() < 5 * STD / np.sqrt(100)
    assert spread.mean() == pytest.approx(STD, rel=0.05)
    few = posterior(drawn, params, {}, Dataset(images[:3], None), KEY)
    np.testing.assert_allclose(few.mean[0], again[:3], rtol=1e-4, atol=1e-5)


def test_a_system_without_a_posterior_says_which_have_one():
    system, params = linear_system()
    with pytest.raises(UserError, match=r"linear cannot draw latents of q\(z \| x\): expected one of VAEs"):
        posterior(system._replace(use=()), params, {}, Dataset(linear_images(1), None))
