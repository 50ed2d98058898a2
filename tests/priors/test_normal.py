"""The prior N(0, I)."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from jaxvae.priors import standard_normal


def test_log_prob_equals_scipy():
    z = np.array([0.0, 1.5, -2.0], np.float32)
    log_prob = standard_normal().log_prob(jnp.array(z))
    assert log_prob.shape == ()
    np.testing.assert_allclose(log_prob, stats.norm.logpdf(z).sum(), rtol=1e-6)


def test_log_prob_integrates_to_one():
    axis = np.linspace(-7.0, 7.0, 141, dtype=np.float32)
    grid = jnp.array(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2))
    density = np.exp(jax.vmap(standard_normal().log_prob)(grid)).reshape(141, 141)
    np.testing.assert_allclose(np.trapezoid(np.trapezoid(density, axis), axis), 1.0, rtol=1e-4)


def test_sample_is_standard_normal():
    num = 4_000
    keys = jax.random.split(jax.random.key(0), num)
    z = np.asarray(jax.jit(jax.vmap(lambda key: standard_normal().sample(key, (3,))))(keys))
    assert z.shape == (num, 3)
    for d in range(3):
        assert stats.kstest(z[:, d], "norm").pvalue > 1e-3
    off_diagonal = np.corrcoef(z.T)[np.triu_indices(3, 1)]
    assert np.all(np.abs(off_diagonal) < 4.0 / np.sqrt(num))


def test_sample_has_the_entropy_of_log_prob():
    # E[log p(z)] = -D/2 (1 + log 2 pi), with variance D/2.
    num, dim = 10_000, 4
    z = standard_normal().sample(jax.random.key(1), (num, dim))
    mean = jnp.mean(jax.vmap(standard_normal().log_prob)(z))
    assert abs(mean + 0.5 * dim * (1.0 + np.log(2.0 * np.pi))) < 4.0 * np.sqrt(0.5 * dim / num)


def test_log_prob_is_finite_far_out_with_its_gradient():
    value, gradient = jax.value_and_grad(standard_normal().log_prob)(jnp.array([1e4, -1e4]))
    assert np.isfinite(value)
    np.testing.assert_allclose(gradient, [-1e4, 1e4], rtol=1e-6)


def test_tempered_draws_have_the_temperature_as_deviation():
    z = jnp.array([[0.5, -2.0], [1.0, 0.0]])
    np.testing.assert_allclose(standard_normal().tempered(z, 0.5), [[0.25, -1.0], [0.5, 0.0]])
