"""The planar flow against a slow loop in float64: a wrong constraint is invertible too, and no Jacobian can see it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.flows import PlanarParams, planar, planar_inverse


def slow(u, w, b, z):
    u, w, z = (np.asarray(a, np.float64) for a in (u, w, z))
    x = w @ u
    m = -1.0 + np.log1p(np.exp(x))
    u_hat = u + (m - x) * w / (w @ w)
    t = np.tanh(w @ z + b)
    return z + u_hat * t, np.log(abs(1.0 + (1.0 - t**2) * (u_hat @ w)))


@pytest.mark.parametrize("seed", range(4))
def test_planar_equals_the_paper(seed):
    rng = np.random.default_rng(seed)
    u, w, z = 2.0 * rng.standard_normal((3, 4)).astype(np.float32)
    b = np.float32(rng.standard_normal())
    y, log_det = planar(PlanarParams(*map(jnp.asarray, (u, w, b))), jnp.asarray(z))
    expected_y, expected = slow(u, w, b, z)
    np.testing.assert_allclose(y, expected_y, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_det, expected, rtol=1e-4, atol=1e-5)


def test_planar_by_hand():
    # w.u = 10: m = -1 + log(1 + e^10) = 9.0000454, where -1 + log(1 + softplus(10)) is 1.398.
    y, log_det = planar(PlanarParams(jnp.array([10.0]), jnp.array([1.0]), jnp.float32(0.0)), jnp.array([1.0]))
    np.testing.assert_allclose(y, [1.0 + 9.0000454 * np.tanh(1.0)], rtol=1e-6)
    np.testing.assert_allclose(log_det, np.log(1.0 + 9.0000454 * (1.0 - np.tanh(1.0) ** 2)), rtol=1e-6)


@pytest.mark.parametrize("push", [-20.0, -60.0])
def test_planar_keeps_its_digits_where_it_is_hardly_invertible(push):
    # At z = 0 the slope is 1 + m = log(1 + e^push), far below the rounding of 1.
    params = PlanarParams(jnp.array([push]), jnp.array([1.0]), jnp.float32(0.0))
    _, log_det = planar(params, jnp.array([0.0]))
    np.testing.assert_allclose(log_det, np.log(np.log1p(np.exp(push))), rtol=1e-5)


def test_planar_without_a_normal_is_a_translation():
    params = PlanarParams(jnp.array([1.0, 2.0]), jnp.zeros(2), jnp.float32(0.3))
    y, log_det = planar(params, jnp.array([5.0, -1.0]))
    np.testing.assert_allclose(y, [5.0 + np.tanh(0.3), -1.0 + 2.0 * np.tanh(0.3)], rtol=1e-6)
    np.testing.assert_allclose(log_det, 0.0, atol=1e-6)


def test_planar_inverse_far_away():
    params = PlanarParams(jnp.array([30.0, 0.0]), jnp.array([3.0, -1.0]), jnp.float32(0.5))
    for z in ([40.0, -3.0], [0.01, 0.02], [-7.0, 11.0]):
        y, log_det = planar(params, jnp.array(z))
        back, there = jax.jit(planar_inverse)(params, y)
        np.testing.assert_allclose(back, z, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(there, log_det, rtol=1e-3, atol=1e-3)


def test_planar_refuses_other_shapes():
    params = PlanarParams(jnp.zeros(3), jnp.zeros(3), jnp.float32(0.0))
    with pytest.raises(ValueError, match=r"w of a planar flow has shape \[3\], expected \[2\]"):
        planar(params, jnp.zeros(2))
    with pytest.raises(ValueError, match=r"u of a planar flow has shape \[2\], expected \[3\]"):
        planar(params._replace(u=jnp.zeros(2)), jnp.zeros(3))
