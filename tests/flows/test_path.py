"""The path gradient against the score by the inverse, whose parameters are stopped."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.distributions import standard_normal_log_prob
from jaxvae.flows import PlanarParams, chain, chain_inverse, path_gradient, planar, planar_inverse

KEYS = jax.random.split(jax.random.key(0), 4)
PARAMS = PlanarParams(
    jax.random.normal(KEYS[0], (3, 2)), jax.random.normal(KEYS[1], (3, 2)), jax.random.normal(KEYS[2], (3,))
)
NOISE = jax.random.normal(KEYS[3], (2,))


def forward(params, noise):
    return chain(planar, params, noise)


def test_value_is_log_q():
    z, log_qz = path_gradient(forward, PARAMS, NOISE)
    expected_z, log_det = forward(PARAMS, NOISE)
    np.testing.assert_allclose(z, expected_z, rtol=1e-6)
    np.testing.assert_allclose(log_qz, standard_normal_log_prob(NOISE) - log_det, rtol=1e-6)


def test_gradient_is_that_through_the_sample_alone():
    def by_the_inverse(params):
        z, _ = forward(params, NOISE)
        noise, log_det = chain_inverse(planar_inverse, jax.lax.stop_gradient(params), z)
        return standard_normal_log_prob(noise) - log_det

    expected = jax.grad(by_the_inverse)(PARAMS)
    found = jax.grad(lambda params: path_gradient(forward, params, NOISE)[1])(PARAMS)
    total = jax.grad(lambda params: -forward(params, NOISE)[1])(PARAMS)
    for one, other, whole in zip(found, expected, total, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)
        assert np.any(np.abs(one - whole) > 1e-2)


def test_gradient_of_the_sample_is_the_usual_one():
    direction = jnp.array([0.3, -1.0])
    found = jax.grad(lambda params: jnp.dot(direction, path_gradient(forward, params, NOISE)[0]))(PARAMS)
    expected = jax.grad(lambda params: jnp.dot(direction, forward(params, NOISE)[0]))(PARAMS)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
