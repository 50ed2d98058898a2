"""The beta-binomial against scipy in float64, from next to the binomial to next to its two ends."""

import itertools

import jax
import numpy as np
import pytest
from scipy import special, stats

from jaxvae.likelihoods import BetaBinomialParams, beta_binomial
from jaxvae.likelihoods.beta_binomial import _stirling

LOGS = np.linspace(-9.9, 9.9, 9, dtype=np.float32)  # within the limit
GRID = [a.ravel() for a in np.meshgrid(LOGS, LOGS)]


@pytest.mark.parametrize("num_values", [2, 256])
def test_log_pmf_equals_scipy_and_sums_to_one(num_values):
    log_pmf = np.asarray(jax.jit(beta_binomial(num_values).log_pmf)(BetaBinomialParams(*GRID)), np.float64)
    alpha, beta = (np.exp(a.astype(np.float64))[:, None] for a in GRID)
    expected = stats.betabinom.logpmf(np.arange(num_values)[None], num_values - 1, alpha, beta)
    np.testing.assert_allclose(log_pmf, expected, rtol=1e-6, atol=3e-4)
    np.testing.assert_allclose(np.exp(log_pmf).sum(1), np.ones(len(alpha)), rtol=3e-4)


def test_stirlings_series_has_the_digits_of_float32_where_it_starts():
    # What it misses would be lost among the digits of a log-probability, and those of many pixels add up.
    z = np.float32([4.0, 4.5, 7.0, 100.0])
    exact = special.gammaln(z.astype(np.float64)) - (z - 0.5) * np.log(z.astype(np.float64)) + z - np.log(2 * np.pi) / 2
    np.testing.assert_allclose(_stirling(z), exact, rtol=2e-6)


def test_gradient_equals_digammas_in_float64():
    # In float32 those lose their digits to each other for large alpha and beta.
    alpha, beta = (np.exp(a.astype(np.float64)) for a in GRID)
    x, n = 100.0, 255.0
    shared = special.digamma(alpha + beta) - special.digamma(n + alpha + beta)
    expected = (
        alpha * (special.digamma(x + alpha) - special.digamma(alpha) + shared),
        beta * (special.digamma(n - x + beta) - special.digamma(beta) + shared),
    )
    gradient = jax.jit(jax.vmap(jax.grad(beta_binomial().log_prob), in_axes=(0, None)))
    for got, want in zip(gradient(BetaBinomialParams(*GRID), np.float32(x)), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_parameters_beyond_the_limit_count_as_the_limit():
    log_pmf = jax.jit(beta_binomial(9).log_pmf)
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=2)), np.float32).T
    far, at = (log_pmf(BetaBinomialParams(*(limit * signs))) for limit in (1e4, 10.0))
    np.testing.assert_array_equal(far, at)
