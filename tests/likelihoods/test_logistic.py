"""Discretised logistic mixtures against a slow sum over components, and at the ends of their range."""

import functools

import jax
import numpy as np
import pytest

from jaxvae.likelihoods import LogisticMixtureParams, logistic_mixture

SHAPE, NUM_COMPONENTS = (2, 3, 3), 4


def cdf(a):
    return 1.0 / (1.0 + np.exp(-a))


def slow_pixel(weights, mean, log_scale, coupling, x, num_values):
    """p(x) of one pixel by eq. 1 to 3 of Salimans et al. 2017, in float64: weights [k], the others [C or pairs, k]."""
    u = [2.0 * value / (num_values - 1) - 1.0 for value in x]
    half, total = 1.0 / (num_values - 1), 0.0
    for k in range(len(weights)):
        p = np.exp(weights[k]) / np.sum(np.exp(weights))
        locations = [
            mean[0, k],
            mean[1, k] + np.tanh(coupling[0, k]) * u[0],
            mean[2, k] + np.tanh(coupling[1, k]) * u[0] + np.tanh(coupling[2, k]) * u[1],
        ]
        for c in range(3):
            scale = np.exp(log_scale[c, k])
            above = 1.0 if x[c] == num_values - 1 else cdf((u[c] + half - locations[c]) / scale)
            below = 0.0 if x[c] == 0 else cdf((u[c] - half - locations[c]) / scale)
            p *= above - below
        total += p
    return total


@pytest.mark.parametrize("num_values", [4, 256])
def test_log_prob_of_colours_equals_a_slow_sum(num_values):
    likelihood = logistic_mixture(NUM_COMPONENTS, num_values, num_channels=3)
    generator = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: generator.standard_normal(leaf.shape), likelihood.param_shapes(SHAPE))
    x = generator.integers(0, num_values, SHAPE)
    x[0, :2] = [[0, num_values - 1, 0], [num_values - 1, 0, num_values - 1]]
    expected = sum(
        np.log(slow_pixel(*(leaf[index] for leaf in params), x[index], num_values)) for index in np.ndindex(2, 3)
    )
    got = jax.jit(likelihood.log_prob)(jax.tree.map(lambda a: a.astype(np.float32), params), x.astype(np.int32))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@functools.cache
def of_grey():
    likelihood = logistic_mixture(1)
    return jax.jit(likelihood.log_pmf), jax.jit(likelihood.mean)


def grey(mean, log_scale):
    mean, log_scale = np.broadcast_arrays(np.float32(mean), np.float32(log_scale))
    return LogisticMixtureParams(
        np.zeros((mean.size, 1), np.float32), mean.reshape(-1, 1, 1), log_scale.reshape(-1, 1, 1), None
    )


def test_grey_values_sum_to_one_and_give_the_mean_at_every_mean_and_scale():
    means, log_scales = np.meshgrid([-1e4, -3.0, -1.0, -0.998, 0.1, 1.0, 1e4], [-1e4, -7.0, -5.0, 0.0, 7.0, 1e4])
    log_pmf, mean = (np.asarray(f(grey(means.ravel(), log_scales.ravel())), np.float64) for f in of_grey())
    np.testing.assert_allclose(np.exp(log_pmf).sum(-1), np.ones((42, 1)), rtol=2e-4)
    np.testing.assert_allclose(np.exp(log_pmf) @ np.arange(256.0), mean, rtol=2e-4, atol=2e-4)


def test_values_far_from_the_mean_keep_their_digits():
    # exp(-7) is the least scale. log F(a) = a for a << 0, in either tail; a bin between has e^a - e^b.
    log_pmf, scale, width = of_grey()[0], np.exp(-7.0), 2.0 / 255.0
    up, down = np.asarray(log_pmf(grey([0.9, -0.9], [-9.0, -9.0])), np.float64)[:, 0]
    np.testing.assert_allclose([up[0], down[255]], [(0.5 * width - 1.9) / scale] * 2, rtol=1e-5)
    inside = (1.5 * width - 1.9) / scale + np.log1p(-np.exp(-width / scale))
    np.testing.assert_allclose([up[1], down[254]], [inside] * 2, rtol=1e-5)


def test_samples_of_a_channel_follow_the_rounded_ones_before():
    # With steep channels green is the bin of red's own value, whatever noise red was rounded from.
    params = LogisticMixtureParams(
        weights=np.zeros((500, 1), np.float32),
        mean=np.zeros((500, 3, 1), np.float32),
        log_scale=np.tile(np.array([[0.0], [-7.0], [-7.0]], np.float32), (500, 1, 1)),
        coupling=np.tile(np.array([[9.0], [9.0], [0.0]], np.float32), (500, 1, 1)),
    )
    x = np.asarray(jax.jit(logistic_mixture(1, 4, num_channels=3).sample)(jax.random.key(0), params))
    assert set(np.unique(x[:, 0])) == {0.0, 1.0, 2.0, 3.0}
    np.testing.assert_array_equal(x[:, 1], x[:, 0])
    np.testing.assert_array_equal(x[:, 2], x[:, 0])


def test_new_components_differ_and_have_the_mean_of_256_values_together():
    likelihood = logistic_mixture(5, num_channels=3)
    mean = np.array([20.0, 100.0, 240.0], np.float32)
    params = jax.jit(likelihood.init_bias)(mean)
    assert np.all(np.diff(params.mean, axis=-1) > 0.05)
    np.testing.assert_allclose(jax.jit(likelihood.mean)(params), mean, atol=0.3)


def test_images_of_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"logistic_mixture is given images \[8, 8, 3\], expected 1 channels"):
        logistic_mixture(5).param_shapes((8, 8, 3))
