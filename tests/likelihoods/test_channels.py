"""Probabilities of one channel of a pixel given those before it, by which images are coded."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae import likelihoods
from jaxvae.likelihoods.pixels import count_values

SHAPE = (2, 1, 3)
CASES = {
    "bernoulli": (likelihoods.bernoulli, 2),
    "categorical": (functools.partial(likelihoods.categorical, 3), 3),
    "beta_binomial": (functools.partial(likelihoods.beta_binomial, 5), 5),
    "logistic_mixture of 8 bits": (functools.partial(likelihoods.logistic_mixture, 3, 256, 3), 256),
    "in_unit": (lambda: likelihoods.in_unit(likelihoods.logistic_mixture(2, 6, 3), 6), 6),
}


@functools.cache
def of_channels(name, scale=1.5):
    """The values of an image, log p of each channel's values given these, and log p(x)."""
    make, num_values = CASES[name]
    likelihood, generator = make(), np.random.default_rng(0)
    draw = lambda leaf: scale * generator.standard_normal(leaf.shape, np.float32)  # noqa: E731
    params = jax.tree.map(draw, likelihood.param_shapes(SHAPE))
    values = generator.integers(0, num_values, SHAPE).astype(np.int32)
    x = values / np.float32(num_values - 1) if name == "in_unit" else values

    def each(values):
        return jnp.stack([likelihood.channel_log_pmf(params, values, c) for c in range(3)], axis=-2)

    changed = values.copy()
    changed[..., 1] = (changed[..., 1] + 1) % num_values
    found = jax.jit(lambda a, b, x: (each(a), each(b), likelihood.log_prob(params, x)))(values, changed, x)
    return values, *map(np.asarray, found)


@pytest.mark.parametrize("name", CASES)
def test_channels_of_a_pixel_multiply_to_its_probability(name):
    values, log_p, _, log_prob = of_channels(name)
    num_values = CASES[name][1]
    assert log_p.shape == (*SHAPE, num_values) == (*SHAPE, count_values(CASES[name][0](), SHAPE))
    np.testing.assert_allclose(np.exp(log_p.astype(np.float64)).sum(axis=-1), 1.0, rtol=1e-5)
    chosen = np.take_along_axis(log_p, values[..., None], axis=-1)
    np.testing.assert_allclose(chosen.sum(), log_prob, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_a_channel_is_given_those_before_it_alone(name):
    _, log_p, of_changed, _ = of_channels(name)
    np.testing.assert_array_equal(log_p[..., :2, :], of_changed[..., :2, :])
    depends = not np.array_equal(log_p[..., 2, :], of_changed[..., 2, :])
    assert depends == ("mixture" in name or name == "in_unit")


@pytest.mark.parametrize("name", ["logistic_mixture of 8 bits", "in_unit"])
def test_values_between_two_have_the_sum_of_their_probabilities(name):
    make, num_values = CASES[name]
    likelihood, generator = make(), np.random.default_rng(1)
    draw = lambda leaf: 1.5 * generator.standard_normal(leaf.shape, np.float32)  # noqa: E731
    params = jax.tree.map(draw, likelihood.param_shapes(SHAPE))
    values = generator.integers(0, num_values, SHAPE).astype(np.int32)
    low, high = np.sort(generator.integers(0, num_values, (2, 50, *SHAPE[:2])), axis=0)
    low[0], high[0], high[1] = 0, num_values - 1, low[1]  # all values, and one

    def both(low, high):
        of_values, masses = [], []
        for c in range(3):
            of_values.append(likelihood.channel_log_pmf(params, values, c))
            masses.append(jax.vmap(lambda a, b: likelihood.channel_log_mass(params, values, c, a, b))(low, high))  # noqa: B023
        return of_values, masses

    for log_p, found in zip(*jax.jit(both)(low, high), strict=True):
        every = np.arange(num_values)
        within = (every >= low[..., None]) & (every <= high[..., None])
        expected = np.log(np.where(within, np.exp(np.asarray(log_p, np.float64)), 0).sum(axis=-1))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_values_of_probability_zero_and_one_are_no_nan():
    likelihood = likelihoods.logistic_mixture(2, 256, 3)
    extreme = jax.tree.map(lambda leaf: np.full(leaf.shape, -1e4, np.float32), likelihood.param_shapes(SHAPE))
    values = np.zeros(SHAPE, np.int32)
    log_p = jax.jit(lambda values: [likelihood.channel_log_pmf(extreme, values, c) for c in range(3)])(values)
    assert not np.isnan(log_p).any()
