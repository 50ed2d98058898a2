"""The densities that flows are tried on, against slow numpy and the constants found by others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxvae.targets import Target, draw, energies, gaussian_mixture, log_normalizer, on_grid

POINTS = np.random.default_rng(0).uniform(-5.0, 5.0, (50, 2))


def slow(name, z):
    w1 = np.sin(2 * np.pi * z[0] / 4)
    w2 = 3 * np.exp(-0.5 * ((z[0] - 1) / 0.6) ** 2)
    w3 = 3 / (1 + np.exp(-(z[0] - 1) / 0.3))
    wall = max(abs(z[0]) - 4, 0) ** 2 / (2 * 0.2**2)
    if name == "U1":
        ring = 0.5 * ((np.hypot(*z) - 2) / 0.4) ** 2
        return ring - np.log(np.exp(-0.5 * ((z[0] - 2) / 0.6) ** 2) + np.exp(-0.5 * ((z[0] + 2) / 0.6) ** 2))
    if name == "U2":
        return 0.5 * ((z[1] - w1) / 0.4) ** 2 + wall
    first, other, second = (0.35, w2, 0.35) if name == "U3" else (0.4, w3, 0.35)
    ridges = np.exp(-0.5 * ((z[1] - w1) / first) ** 2) + np.exp(-0.5 * ((z[1] - w1 + other) / second) ** 2)
    return -np.log(ridges) + wall


@pytest.mark.parametrize("target", energies(), ids=lambda target: target.name)
def test_energies_equal_the_papers_table(target):
    near = [z for z in POINTS if slow(target.name, z) < 200]  # farther away the slow logarithm is of 0
    assert len(near) > 20
    found = jax.vmap(target.log_density)(jnp.asarray(near, jnp.float32))
    np.testing.assert_allclose(found, [-slow(target.name, z) for z in near], rtol=1e-4, atol=1e-3)


def test_mixture_equals_scipy():
    parts = [stats.norm.pdf(POINTS, mean, 0.5).prod(-1) for mean in (1.5, -1.5)]
    found = jax.vmap(gaussian_mixture(0.5).log_density)(jnp.asarray(POINTS, jnp.float32))
    np.testing.assert_allclose(found, np.log(np.mean(parts, axis=0)), rtol=1e-4, atol=1e-4)


def test_log_normalizers():
    # U1 to U4: found by a finer quadrature, 3,600 cells a side.
    expected = {"U1": 1.8775, "U2": 2.1429, "U3": 2.7025, "U4": 2.7715}
    for target in energies():
        np.testing.assert_allclose(log_normalizer(target), expected[target.name], atol=1e-4)
    np.testing.assert_allclose(log_normalizer(gaussian_mixture(1.0)), 0.0, atol=1e-5)


def test_grid_is_in_the_order_of_its_axes():
    axis, values = on_grid(gaussian_mixture(0.5), 40, 3.0)
    assert values.shape == (40, 40)
    np.testing.assert_allclose(
        values[3, 17], gaussian_mixture(0.5).log_density(jnp.array([axis[3], axis[17]])), rtol=1e-5
    )


@pytest.mark.parametrize("target", [*energies(), gaussian_mixture()], ids=lambda target: target.name)
@pytest.mark.parametrize("z", [[0.0, 0.0], [100.0, -100.0], [1e4, 1e4]])
def test_log_densities_and_gradients_are_finite(target, z):
    value, gradient = jax.value_and_grad(target.log_density)(jnp.array(z))
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_a_target_without_mass_is_named():
    nowhere = Target("nowhere", lambda z: jnp.full((), -jnp.inf))
    for function in (lambda: log_normalizer(nowhere, num=50), lambda: draw(jax.random.key(0), nowhere, 3, cells=50)):
        with pytest.raises(ValueError, match="The target nowhere has no mass there, expected finite"):
            function()


def test_a_target_that_is_not_a_number_is_named():
    with pytest.raises(ValueError, match="The target broken has a log-density of nan, expected finite"):
        log_normalizer(Target("broken", lambda z: jnp.log(z[0])), num=50)


def test_draws_are_those_of_the_density():
    target = energies()[3]
    draws = draw(jax.random.key(0), target, 40_000)
    assert draws.shape == (40_000, 2)
    # Shares of draws in squares of a grid of 0.5, against the integral over each.
    axis, values = on_grid(target, 1800, 9.0)
    density = np.exp(values.astype(np.float64) - log_normalizer(target)) * 0.01**2
    expected = density.reshape(36, 50, 36, 50).sum((1, 3))
    edges = np.linspace(-9, 9, 37)
    found = np.histogram2d(*draws.T, bins=[edges, edges])[0] / len(draws)
    error = np.sqrt(expected * (1 - expected) / len(draws)) + 1e-4
    assert np.max(np.abs(found - expected) / error) < 5
    np.testing.assert_array_equal(draws, draw(jax.random.key(0), target, 40_000))
    assert np.any(draws != draw(jax.random.key(1), target, 40_000))


def test_draws_within_a_cell_are_spread_over_it():
    draws = draw(jax.random.key(0), gaussian_mixture(0.5), 20_000, cells=36)  # 0.5 wide
    places = (draws / 0.5) % 1.0
    assert stats.kstest(places.ravel(), "uniform").pvalue > 1e-3
    # A cell is around its middle: the two modes are as far from 0, 1.5, on either side.
    far = np.abs(draws.mean(axis=0)) / (draws.std(axis=0) / np.sqrt(len(draws)))
    assert np.all(far < 4.5)
