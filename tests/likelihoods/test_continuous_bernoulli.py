"""The continuous Bernoulli against the paper's formulas in float64, near lambda = 1/2 and far from it."""

import jax
import numpy as np
import pytest

from jaxvae.likelihoods import continuous_bernoulli

# Both sides of where the series ends, and logits of a pixel that is always dark or bright.
LOGITS = np.array([-80.0, -5.0, -1.001, -0.999, -0.3, -1e-3, 1e-3, 0.05, 0.7, 0.9999, 1.0001, 3.0, 80.0], np.float32)


def paper(logits):
    """log C(lambda) and the mean, of lambda and in the terms of Loaiza-Ganem & Cunningham 2019, sec. 3."""
    lam = 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))
    twice_atanh = -logits.astype(np.float64)  # 2 atanh(1 - 2 lambda), which rounds for lambda near 1
    return np.log(twice_atanh / (1.0 - 2.0 * lam)), lam / (2.0 * lam - 1.0) + 1.0 / twice_atanh, np.log(lam)


@pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
def test_log_prob_and_gradient_equal_the_paper(x):
    log_c, mean, log_lam = paper(LOGITS)
    # x log(lambda) + (1 - x) log(1 - lambda) + log C(lambda), where log(1 - lambda) = log(lambda) - logit
    expected = log_lam - (1.0 - x) * LOGITS + log_c
    program = jax.jit(jax.vmap(jax.value_and_grad(continuous_bernoulli().log_prob), in_axes=(0, None)))
    log_p, gradient = program(LOGITS, np.float32(x))
    np.testing.assert_allclose(log_p, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, x - mean, rtol=1e-4, atol=1e-6)


def test_mean_equals_the_paper():
    np.testing.assert_allclose(jax.jit(continuous_bernoulli().mean)(LOGITS), paper(LOGITS)[1], rtol=1e-5)


def test_at_one_half_the_density_is_uniform_on_the_unit_interval():
    likelihood = continuous_bernoulli()
    x = np.array([0.0, 0.25, 1.0, -0.01, 1.01], np.float32)

    @jax.jit
    def program(logit, x):
        first = jax.grad(likelihood.log_prob)
        return jax.vmap(lambda x: (likelihood.log_prob(logit, x), first(logit, x), jax.grad(first)(logit, x)))(x)

    log_p, slope, curvature = program(np.float32(0.0), x)
    np.testing.assert_allclose(log_p, [0.0, 0.0, 0.0, -np.inf, -np.inf], atol=1e-7)
    np.testing.assert_allclose(slope[:3], x[:3] - 0.5, atol=1e-7)
    np.testing.assert_allclose(curvature[:3], np.full(3, -1.0 / 12.0), rtol=1e-5)


def test_samples_of_steep_densities_stay_inside():
    logits = np.repeat(np.array([-1e4, -50.0, 0.0, 50.0, 1e4], np.float32), 1000).reshape(5, 1000)
    x = np.asarray(jax.jit(continuous_bernoulli().sample)(jax.random.key(0), logits))
    assert np.all((x >= 0.0) & (x <= 1.0))
    np.testing.assert_allclose(x.mean(1), [1e-4, 0.02, 0.5, 0.98, 1.0 - 1e-4], rtol=0.1)
