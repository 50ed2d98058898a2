"""Paths and grids of latents against hand-worked numbers, and at the ends of their range."""

import jax
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


def polar(z):
    """Points of the plane by the logarithm of their distance from the middle and their angle."""
    radius, angle = jnp.exp(z[:, 0]), z[:, 1]
    return radius[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)


@pytest.mark.parametrize("num", [2, 9])
def test_a_geodesic_of_the_plane_is_its_straight_line(num):
    a, b = jnp.array([0.1, -0.6]), jnp.array([0.7, 1.2])
    z = jax.jit(lambda a, b: sampling.geodesic(polar, a, b, num))(a, b)
    ends = polar(jnp.stack([a, b]))
    np.testing.assert_allclose(polar(z), sampling.linear(*ends, num), atol=1e-3)  # at equal distances
    np.testing.assert_allclose(z[jnp.array([0, -1])], jnp.stack([a, b]), rtol=1e-6)
    if num > 2:
        between = polar(sampling.linear(a, b, num))
        assert np.abs(between - sampling.linear(*ends, num)).max() > 0.1  # the straight line of latents is another


@pytest.mark.slow
def test_a_geodesic_of_a_sphere_is_a_great_circle():
    """Latents are longitude and latitude: from London to Tokyo one goes north."""

    def sphere(z):
        longitude, latitude = z[:, 0], z[:, 1]
        return jnp.stack(
            [jnp.cos(latitude) * jnp.cos(longitude), jnp.cos(latitude) * jnp.sin(longitude), jnp.sin(latitude)], axis=1
        )

    a, b = jnp.array([0.0, 0.9]), jnp.array([2.4, 0.62])
    points = np.asarray(sphere(sampling.geodesic(sphere, a, b, 7)))
    ends = sphere(jnp.stack([a, b]))
    np.testing.assert_allclose(points, sampling.spherical(ends[0], ends[1], 7), atol=2e-3)
    assert points[3, 2] > np.sin(1.1)


@pytest.mark.slow
def test_a_geodesic_between_equal_points_stays_there():
    np.testing.assert_array_equal(sampling.geodesic(polar, A[:2], A[:2], 4), jnp.tile(A[None, :2], (4, 1)))
