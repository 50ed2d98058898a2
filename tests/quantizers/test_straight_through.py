"""Gradients past a choice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.quantizers import commitment, rotation_trick, straight_through

RNG = np.random.default_rng(0)
Z, Z_Q, COTANGENT = RNG.standard_normal((3, 7, 5), np.float32)


def pulled_back(through):
    """Value, gradient of z and gradient of z_q for a cotangent."""

    @jax.jit
    def run(z, z_q, cotangent):
        value, pull_back = jax.vjp(through, z, z_q)
        return value, *pull_back(cotangent)

    return run


THROUGH, TURNED = pulled_back(straight_through), pulled_back(rotation_trick)


def test_straight_through_gradient_is_exactly_the_identity():
    value, of_z, of_z_q = THROUGH(Z, Z_Q, COTANGENT)
    np.testing.assert_array_equal(value, Z_Q)
    np.testing.assert_array_equal(of_z, COTANGENT)
    np.testing.assert_array_equal(of_z_q, np.zeros_like(Z_Q))


def test_rotation_trick_equals_a_matrix_of_the_formula():
    value, of_z, of_z_q = TURNED(Z, Z_Q, COTANGENT)
    np.testing.assert_array_equal(value, Z_Q)
    np.testing.assert_array_equal(of_z_q, np.zeros_like(Z_Q))
    for i in range(len(Z)):
        z, q = Z[i].astype(np.float64), Z_Q[i].astype(np.float64)
        a, b = z / np.linalg.norm(z), q / np.linalg.norm(q)
        r = (a + b) / np.linalg.norm(a + b)
        turn = np.eye(5) - 2.0 * np.outer(r, r) + 2.0 * np.outer(b, a)
        np.testing.assert_allclose(turn @ turn.T, np.eye(5), atol=1e-12)
        scale = np.linalg.norm(q) / np.linalg.norm(z)
        np.testing.assert_allclose(scale * turn @ z, q, atol=1e-12)
        np.testing.assert_allclose(of_z[i], scale * turn.T @ COTANGENT[i], rtol=1e-4, atol=1e-5)


def test_rotation_trick_keeps_the_angle_between_gradient_and_vector():
    _, of_z, _ = TURNED(Z, Z_Q, COTANGENT)
    cosine = lambda a, b: (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)  # noqa: E731
    np.testing.assert_allclose(cosine(np.asarray(of_z), Z), cosine(COTANGENT, Z_Q), rtol=1e-4, atol=1e-5)


def test_rotation_trick_without_a_direction():
    z, z_q = Z.copy(), Z_Q.copy()
    z[0] = 0.0  # straight through
    z_q[1] = 0.0  # no gradient
    z[2] = z_q[2] = 0.0  # straight through
    z_q[3] = -z[3]  # the opposite direction: a reflection
    value, of_z, _ = TURNED(z, z_q, COTANGENT)
    np.testing.assert_array_equal(value, z_q)
    np.testing.assert_array_equal(of_z[jnp.array([0, 2])], COTANGENT[[0, 2]])
    np.testing.assert_array_equal(of_z[1], np.zeros(5))
    a = z[3] / np.linalg.norm(z[3])
    np.testing.assert_allclose(of_z[3], COTANGENT[3] - 2.0 * a * (a @ COTANGENT[3]), rtol=1e-4, atol=1e-5)
    assert np.all(np.isfinite(of_z))


def test_commitment_is_the_mean_square_of_an_example():
    z, z_q = RNG.standard_normal((2, 3, 2, 2, 4), np.float32)
    found = jax.jit(commitment)(z, z_q)
    np.testing.assert_allclose(found, ((z - z_q) ** 2).mean((1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("function", [straight_through, rotation_trick, commitment])
def test_other_shapes_are_refused(function):
    with pytest.raises(ValueError, match=r"z_q has shape \[5\], expected \[7, 5\]"):
        function(Z, Z_Q[0])
