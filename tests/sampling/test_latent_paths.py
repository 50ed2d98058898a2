"""Paths and grids of latents against hand-worked numbers, and at the ends of their range."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxvae import sampling

A, B = jnp.array([3.0, 0.0, 0.0]), jnp.array([0.0, 3.0, 0.0])


@pytest.mark.parametrize("path", [sampling.linear, sampling.spherical, sampling.normed])
def test_paths_begin_and_end_at_their_points(path):
    a, b = jnp.array([0.3, -1.2, 2.0]), jnp.array([1.7, 0.4, -0.6])
    z = path(a, b, 7)
    assert z.shape == (7, 3)
    np.testing.assert_allclose(z[0], a, rtol=1e-6)
    np.testing.assert_allclose(z[-1], b, rtol=1e-6)


def test_linear_is_equally_spaced():
    np.testing.assert_allclose(sampling.linear(A, B, 4)[:, :2], [[3, 0], [2, 1], [1, 2], [0, 3]], atol=1e-6)


def test_spherical_turns_by_equal_angles_and_keeps_the_length():
    angles = np.deg2rad([0.0, 30.0, 60.0, 90.0])
    expected = 3.0 * np.stack([np.cos(angles), np.sin(angles), 0.0 * angles], axis=1)
    np.testing.assert_allclose(sampling.spherical(A, B, 4), expected, atol=1e-6)


def test_spherical_of_unequal_lengths_follows_shoemake():
    a, b = np.array([1.0, 2.0, -0.5]), np.array([-2.0, 3.0, 4.0])
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    t = np.linspace(0.0, 1.0, 5)[:, None]
    expected = (np.sin((1.0 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    np.testing.assert_allclose(sampling.spherical(jnp.array(a), jnp.array(b), 5), expected, rtol=1e-5)


@pytest.mark.parametrize("b", [A, -A, 2.0 * A, -A + 1e-6, A + 1e-6, jnp.zeros(3)], ids=str)
def test_spherical_without_an_arc_is_the_straight_line(b):
    for start, end in ((A, b), (b, A)):
        np.testing.assert_allclose(sampling.spherical(start, end, 5), sampling.linear(start, end, 5), atol=1e-5)


def test_spherical_of_zeros_is_zero():
    np.testing.assert_array_equal(sampling.spherical(jnp.zeros(3), jnp.zeros(3), 3), np.zeros((3, 3)))


def test_manifold_has_the_quantiles_in_the_order_of_a_picture():
    z = np.asarray(sampling.manifold(4)).reshape(4, 4, 2)
    quantiles = stats.norm.ppf([0.125, 0.375, 0.625, 0.875])
    for row in range(4):
        np.testing.assert_allclose(z[row, :, 0], quantiles, rtol=1e-5)
        np.testing.assert_allclose(z[row, :, 1], quantiles[3 - row], rtol=1e-5)


def test_manifold_leaves_further_dimensions_at_zero():
    z = np.asarray(sampling.manifold(3, dim=5))
    np.testing.assert_array_equal(z[:, :2], sampling.manifold(3))
    np.testing.assert_array_equal(z[:, 2:], np.zeros((9, 3)))


def test_traversal_changes_one_dimension():
    z = sampling.traversal(jnp.array([1.0, 2.0, 3.0]), 1, [-1.0, 0.0])
    np.testing.assert_array_equal(z, [[1, -1, 3], [1, 0, 3]])


def test_impossible_arguments_are_named():
    with pytest.raises(ValueError, match="dimension is 3, expected 0 to 2"):
        sampling.traversal(A, 3, [0.0])
    with pytest.raises(ValueError, match="b has shape"):
        sampling.linear(A, jnp.zeros(2), 3)
    with pytest.raises(ValueError, match="in 1 dimensions"):
        sampling.manifold(3, dim=1)


def test_normed_has_the_directions_of_the_line_and_lengths_between_the_ends():
    a, b = np.array([3.0, 0.0, 4.0]), np.array([0.0, 1.0, 0.0])
    t = np.linspace(0.0, 1.0, 5)[:, None]
    line = (1.0 - t) * a + t * b
    expected = line / np.linalg.norm(line, axis=1, keepdims=True) * (5.0 - 4.0 * t)
    np.testing.assert_allclose(sampling.normed(jnp.array(a), jnp.array(b), 5), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(sampling.normed(A, -A, 3)[1], np.zeros(3))  # through zero, without a direction
