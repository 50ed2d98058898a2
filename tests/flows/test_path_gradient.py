"""The path gradient against the score by the inverse, whose parameters are stopped."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.distributions import standard_normal_log_prob
from jaxvae.flows import (
    PlanarParams,
    chain,
    chain_inverse,
    path_chain,
    path_step,
    planar,
    planar_inverse,
    standard_normal_path,
)


def params_of(dim):
    u, w, b = jax.random.split(jax.random.key(0), 3)
    return PlanarParams(jax.random.normal(u, (3, dim)), jax.random.normal(w, (3, dim)), jax.random.normal(b, (3,)))


def noise_of(dim):
    return jax.random.normal(jax.random.key(3), (dim,))


def end(params, noise):
    return path_chain(planar, params, standard_normal_path(noise))


def log_density(params, z):
    noise, log_det = chain_inverse(planar_inverse, params, z)
    return standard_normal_log_prob(noise) - log_det


@pytest.mark.parametrize("dim", [2, 4])
def test_draw_its_density_and_its_score(dim):
    params = params_of(dim)
    sample = end(params, noise_of(dim))
    z, log_det = chain(planar, params, noise_of(dim))
    np.testing.assert_allclose(sample.z, z, rtol=1e-6)
    np.testing.assert_allclose(sample.log_qz, standard_normal_log_prob(noise_of(dim)) - log_det, rtol=1e-6)
    np.testing.assert_allclose(sample.log_prob(), sample.log_qz, rtol=1e-6)
    np.testing.assert_allclose(sample.score, jax.grad(log_density, argnums=1)(params, z), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("dim", [2, 4])
def test_gradient_is_that_through_the_sample_alone(dim):
    params, noise = params_of(dim), noise_of(dim)

    def by_the_inverse(params):
        z, _ = chain(planar, params, noise)
        return log_density(jax.lax.stop_gradient(params), z)

    expected = jax.grad(by_the_inverse)(params)
    found = jax.grad(lambda params: end(params, noise).log_prob())(params)
    total = jax.grad(lambda params: -chain(planar, params, noise)[1])(params)
    for one, other, whole in zip(found, expected, total, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)
        assert np.any(np.abs(one - whole) > 1e-2)


def test_gradient_of_the_sample_is_the_usual_one():
    params, noise, direction = params_of(2), noise_of(2), jnp.array([0.3, -1.0])
    found = jax.grad(lambda params: jnp.dot(direction, end(params, noise).z))(params)
    expected = jax.grad(lambda params: jnp.dot(direction, chain(planar, params, noise)[0]))(params)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_steps_in_a_row_are_a_chain():
    params, noise = params_of(2), noise_of(2)
    sample = standard_normal_path(noise)
    for k in range(3):
        sample = path_step(planar, jax.tree.map(lambda leaf, k=k: leaf[k], params), sample)
    for one, other in zip(sample, end(params, noise), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_noise_of_two_examples_is_refused():
    with pytest.raises(ValueError, match="noise"):
        standard_normal_path(jnp.zeros((3, 2)))
