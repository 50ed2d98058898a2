"""Gaussian pixels against scipy; the bound of a learned scale."""

import jax
import numpy as np
import pytest
from scipy import stats

from jaxvae.likelihoods import gaussian, gaussian_learned_scale, squared_error
from jaxvae.types import GaussianParams

MEAN = np.array([0.2, -1.0, 0.7, 0.0], np.float32)
X = np.array([0.3, -1.3, 0.7, 0.5], np.float32)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 2.5])
def test_gaussian_log_prob_equals_scipy(sigma):
    expected = stats.norm.logpdf(X, MEAN, sigma).sum()
    np.testing.assert_allclose(jax.jit(gaussian(sigma).log_prob)(MEAN, X), expected, rtol=1e-5)


def test_gaussian_log_prob_is_half_the_squared_error_plus_a_constant():
    # The likelihood of the mean squared error: differences of log p are differences of -1/2 sum (x - mean)^2.
    mean, x = np.array([0.0, 1.0], np.float32), np.array([3.0, -1.0], np.float32)
    log_prob = jax.jit(gaussian().log_prob)
    np.testing.assert_allclose(log_prob(mean, mean), -np.log(2.0 * np.pi), rtol=1e-6)
    np.testing.assert_allclose(log_prob(mean, x) - log_prob(mean, mean), -6.5, rtol=1e-6)


def test_squared_error_is_the_sum_over_pixels_and_a_gaussian_without_its_constant():
    likelihood, density = squared_error(), gaussian(np.sqrt(0.5))
    np.testing.assert_allclose(jax.jit(likelihood.log_prob)(MEAN, X), -np.sum(np.square(X - MEAN)), rtol=1e-6)
    constant = density.log_prob(X, X)
    np.testing.assert_allclose(likelihood.log_prob(MEAN, X), density.log_prob(MEAN, X) - constant, rtol=1e-5)
    draws = (one.sample(jax.random.key(0), MEAN) for one in (likelihood, density))
    np.testing.assert_array_equal(*draws)
    assert (likelihood.recipe.constructor, likelihood.recipe.arguments) == (squared_error, ())


def test_gaussian_of_learned_scale_equals_scipy():
    log_var = np.array([-2.0, 0.0, 1.5, -7.0], np.float32)
    bound = 2.0 * np.log(0.05)
    sigma = np.exp(0.5 * (bound + np.log1p(np.exp(log_var.astype(np.float64) - bound))))
    got = jax.jit(gaussian_learned_scale(0.05).log_prob)(GaussianParams(MEAN, log_var), X)
    np.testing.assert_allclose(got, stats.norm.logpdf(X, MEAN, sigma).sum(), rtol=1e-5)


def test_learned_scale_stops_at_its_bound_and_can_leave_it():
    likelihood = gaussian_learned_scale(0.05)
    program = jax.jit(jax.value_and_grad(likelihood.log_prob))
    at = lambda value, num=1: GaussianParams(np.zeros(num, np.float32), np.full(num, value, np.float32))  # noqa: E731
    log_p, _ = program(at(-1e4), np.zeros(1, np.float32))
    np.testing.assert_allclose(log_p, stats.norm.logpdf(0.0, 0.0, 0.05), rtol=1e-5)
    x = jax.jit(likelihood.sample)(jax.random.key(0), at(-1e4, 1000))
    np.testing.assert_allclose(np.std(x), 0.05, rtol=0.1)
    # log(0.05^2) = -6: a pixel that is far off its mean asks for a wider scale.
    assert program(at(-8.0), np.ones(1, np.float32))[1].log_var > 1.0
