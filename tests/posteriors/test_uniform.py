"""The posterior of rounding: of width one around its mean, with log-density zero."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.posteriors import UniformPosterior

B, F, D, S = 3, 5, 4, 2000


def drawn():
    posterior = UniformPosterior(D)
    features = jax.random.normal(jax.random.key(1), (B, F))
    keys = jax.random.split(jax.random.key(0), B)
    variables = posterior.init(jax.random.key(2), keys, features, 1)
    return posterior, variables, features, posterior.apply(variables, keys, features, S)


def test_draws_are_uniform_around_the_mean():
    _, _, _, (z, log_qz, mean) = drawn()
    noise = np.asarray(z) - np.asarray(mean)
    assert abs(noise).max() <= 0.5 + 1e-5
    np.testing.assert_allclose(noise.mean(axis=0), 0.0, atol=5 * np.sqrt(1 / 12 / S))
    np.testing.assert_allclose(noise.var(axis=0), 1 / 12, rtol=0.1)
    assert not np.asarray(log_qz).any()


def test_log_density_is_zero_inside_and_minus_infinity_outside():
    posterior, variables, features, (z, _, mean) = drawn()
    log_prob = lambda z: posterior.apply(variables, features, z, method="log_prob")  # noqa: E731
    assert not np.asarray(log_prob(z)).any()
    outside = mean[None].at[0, 1, 2].add(0.51)
    np.testing.assert_array_equal(log_prob(outside), [[0.0, -np.inf, 0.0]])


def test_gradient_goes_through_the_draw():
    posterior, variables, features, _ = drawn()
    keys = jax.random.split(jax.random.key(0), B)
    total = lambda variables: jnp.sum(posterior.apply(variables, keys, features, 1)[0])  # noqa: E731
    of_mean = lambda variables: jnp.sum(posterior.apply(variables, features, method="params_of"))  # noqa: E731
    chained = jax.tree.map(np.asarray, (jax.grad(total)(variables), jax.grad(of_mean)(variables)))
    jax.tree.map(np.testing.assert_allclose, *chained)
