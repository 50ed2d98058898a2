"""The radial flow against a slow loop in float64: a wrong constraint is invertible too, and no Jacobian can see it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.flows.radial import RadialParams, radial, radial_inverse


def made(center, alpha, beta):
    return RadialParams(jnp.array(center, jnp.float32), jnp.float32(alpha), jnp.float32(beta))


def slow(center, alpha, beta, z):
    center, z = np.asarray(center, np.float64), np.asarray(z, np.float64)
    alpha = np.log1p(np.exp(np.float64(alpha)))
    beta_hat = -alpha + np.log1p(np.exp(np.float64(beta)))
    r = np.sqrt(np.sum((z - center) ** 2))
    h, derivative = 1.0 / (alpha + r), -1.0 / (alpha + r) ** 2
    log_det = (len(z) - 1) * np.log(1.0 + beta_hat * h) + np.log(1.0 + beta_hat * h + beta_hat * derivative * r)
    return z + beta_hat * h * (z - center), log_det


@pytest.mark.parametrize("seed", range(4))
def test_radial_equals_the_paper(seed):
    rng = np.random.default_rng(seed)
    center, z = 2.0 * rng.standard_normal((2, 4)).astype(np.float32)
    alpha, beta = 2.0 * rng.standard_normal(2).astype(np.float32)
    y, log_det = radial(made(center, alpha, beta), jnp.asarray(z))
    expected_y, expected = slow(center, alpha, beta, z)
    np.testing.assert_allclose(y, expected_y, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_det, expected, rtol=1e-4, atol=1e-5)


def test_radial_by_hand():
    # alpha = log(1 + e^0) = 0.693147, m = log(1 + e^2) = 2.126928, so beta_hat = 1.433781. At r = |(3, 4)| = 5 the
    # stretch is 1 + 1.433781 / 5.693147 = 1.251843, and the slope along the ray 1 + 1.433781 * 0.693147 / 5.693147^2.
    y, log_det = radial(made([1.0, -1.0], 0.0, 2.0), jnp.array([4.0, 3.0]))
    np.testing.assert_allclose(y, [1.0 + 3.0 * 1.251843, -1.0 + 4.0 * 1.251843], rtol=1e-6)
    np.testing.assert_allclose(log_det, np.log(1.251843) + np.log(1.0306624), rtol=1e-5)


def test_radial_with_equal_parameters_is_the_identity():
    z = jnp.array([0.3, -2.0, 1.0])
    y, log_det = radial(made([1.0, 0.0, 0.0], -0.7, -0.7), z)
    np.testing.assert_allclose(y, z, rtol=1e-6)
    np.testing.assert_allclose(log_det, 0.0, atol=1e-6)


@pytest.mark.parametrize("beta", [-5.0, -10.0])
def test_radial_keeps_its_digits_where_it_is_hardly_invertible(beta):
    # Near the centre the slope is 1 + beta_hat / alpha = m / alpha, of which 1 + beta_hat h(r) would lose all digits.
    alpha, m = np.log1p(np.exp(5.0)), np.log1p(np.exp(beta)) + 1e-6
    _, log_det = radial(made([0.5, 0.5], 5.0, beta), jnp.array([0.5, 0.5]))
    np.testing.assert_allclose(log_det, 2.0 * np.log(m / alpha), rtol=1e-5)


@pytest.mark.parametrize("alpha", [-100.0, -3.0, 0.0, 100.0])
@pytest.mark.parametrize("beta", [-100.0, -3.0, 0.0, 100.0])
def test_radial_rises_along_every_ray(alpha, beta):
    r = jnp.linspace(0.0, 6.0, 2001)
    z = 1.0 + r[:, None] * jnp.array([0.6, 0.8])[None]
    y, log_det = jax.vmap(lambda z: radial(made([1.0, 1.0], alpha, beta), z))(z)
    assert np.all(np.isfinite(log_det))
    assert np.all(np.diff((np.asarray(y, np.float64) - 1.0) @ np.array([0.6, 0.8])) > -1e-6)
    assert np.all(np.asarray(y[-1]) > 1.0)


def test_radial_at_its_center():
    params, center = made([1.0, 2.0, 3.0], 0.4, 1.5), jnp.array([1.0, 2.0, 3.0])
    slope = (np.log1p(np.exp(1.5)) + 1e-6) / (np.log1p(np.exp(0.4)) + 1e-6)
    for function, expected in ((radial, slope), (radial_inverse, 1.0 / slope)):
        np.testing.assert_array_equal(function(params, center)[0], center)
        jacobian = jax.jacrev(lambda z: function(params, z)[0])(center)  # noqa: B023
        np.testing.assert_allclose(jacobian, expected * np.eye(3), rtol=1e-5, atol=1e-6)
        for leaf in jax.tree.leaves(jax.grad(lambda *a: function(*a)[1], argnums=(0, 1))(params, center)):  # noqa: B023
            assert np.all(np.isfinite(leaf))


@pytest.mark.parametrize(("alpha", "beta"), [(-15.0, 30.0), (-8.0, 4.0), (4.0, -8.0), (0.5, 30.0), (30.0, 0.5)])
def test_radial_inverse_far_away_and_near_the_center(alpha, beta):
    params = made([0.0, 0.0], alpha, beta)
    for z in ([40.0, -3.0], [1e-6, 2e-6], [-7.0, 11.0]):
        y, log_det = radial(params, jnp.array(z))
        back, there = jax.jit(radial_inverse)(params, y)
        np.testing.assert_allclose(back, z, rtol=1e-3)
        np.testing.assert_allclose(there, log_det, rtol=1e-3, atol=1e-3)


def test_radial_refuses_other_shapes():
    params = made([0.0, 0.0, 0.0], 0.0, 0.0)
    with pytest.raises(ValueError, match=r"center of a radial flow has shape \[3\], expected \[2\]"):
        radial(params, jnp.zeros(2))
    with pytest.raises(ValueError, match=r"alpha of a radial flow has shape \[1\], expected \[\]"):
        radial_inverse(params._replace(alpha=jnp.zeros(1)), jnp.zeros(3))
