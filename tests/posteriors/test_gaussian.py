"""The Gaussian posterior: whose noise is whose, and do the densities belong to the draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxvae.posteriors import GaussianPosterior

NUM_EXAMPLES, NUM_FEATURES, DIM = 4, 5, 3
KEYS = jax.random.split(jax.random.key(1), NUM_EXAMPLES)
FEATURES = jax.random.normal(jax.random.key(2), (NUM_EXAMPLES, NUM_FEATURES))
POSTERIOR = GaussianPosterior(DIM)
PARAMS = jax.jit(POSTERIOR.init, static_argnums=3)(jax.random.key(0), KEYS, FEATURES, 1)
call = jax.jit(POSTERIOR.apply, static_argnums=3)
log_prob = jax.jit(lambda params, features, z: POSTERIOR.apply(params, features, z, method="log_prob"))


def test_posterior_shapes():
    z, log_qz, statistics = call(PARAMS, KEYS, FEATURES, 2)
    assert z.shape == (2, NUM_EXAMPLES, DIM)
    assert log_qz.shape == (2, NUM_EXAMPLES)
    assert statistics.mean.shape == statistics.log_var.shape == (NUM_EXAMPLES, DIM)


def test_posterior_statistics_are_linear_in_features():
    dense = jax.tree.map(np.asarray, PARAMS["params"]["statistics"])
    expected = np.asarray(FEATURES) @ dense["kernel"] + dense["bias"]
    _, _, statistics = call(PARAMS, KEYS, FEATURES, 1)
    np.testing.assert_allclose(statistics.mean, expected[:, :DIM], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(statistics.log_var, expected[:, DIM:], rtol=1e-5, atol=1e-6)
    params_of = POSTERIOR.apply(PARAMS, FEATURES[None], method="params_of")  # any leading axes
    np.testing.assert_allclose(params_of.mean[0], statistics.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(params_of.log_var[0], statistics.log_var, rtol=1e-5, atol=1e-6)


def test_posterior_permuting_examples_permutes_draws():
    order = np.array([2, 0, 3, 1])
    z, log_qz, _ = call(PARAMS, KEYS, FEATURES, 2)
    z_permuted, log_qz_permuted, _ = call(PARAMS, KEYS[order], FEATURES[order], 2)
    np.testing.assert_allclose(z_permuted, z[:, order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_qz_permuted, log_qz[:, order], rtol=1e-5, atol=1e-6)


def test_posterior_draws_do_not_depend_on_the_rest_of_the_batch():
    z, _, _ = call(PARAMS, KEYS, FEATURES, 2)
    alone, _, _ = call(PARAMS, KEYS[1:2], FEATURES[1:2], 2)
    np.testing.assert_allclose(alone[:, 0], z[:, 1], rtol=1e-5, atol=1e-6)


def test_posterior_fewer_samples_are_the_first_ones():
    two, five = call(PARAMS, KEYS, FEATURES, 2), call(PARAMS, KEYS, FEATURES, 5)
    np.testing.assert_allclose(two[0], five[0][:2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(two[1], five[1][:2], rtol=1e-5, atol=1e-6)


def test_posterior_examples_and_samples_differ():
    same = jnp.broadcast_to(FEATURES[:1], FEATURES.shape)
    z, _, _ = call(PARAMS, KEYS, same, 5)
    assert len(np.unique(np.asarray(z))) == z.size


def test_posterior_log_qz_equals_log_prob_of_the_draws():
    z, log_qz, statistics = call(PARAMS, KEYS, FEATURES, 2)
    scale = np.exp(np.asarray(statistics.log_var) / 2)
    expected = stats.norm.logpdf(np.asarray(z), np.asarray(statistics.mean), scale).sum(-1)
    np.testing.assert_allclose(log_qz, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(log_prob(PARAMS, FEATURES, z), expected, rtol=1e-4, atol=1e-5)


def test_posterior_log_prob_takes_features_of_each_sample():
    z, _, _ = call(PARAMS, KEYS, FEATURES, 2)
    features = jnp.stack([FEATURES, FEATURES[::-1]])
    got = log_prob(PARAMS, features, z)
    assert got.shape == (2, NUM_EXAMPLES)
    for s in range(2):
        one = log_prob(PARAMS, features[s], z)[s]
        np.testing.assert_allclose(got[s], one, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axis", ["samples", "examples"])
def test_posterior_draws_have_mean_and_variance(axis):
    # Many samples of one key, or one sample of many keys.
    num = 10_000
    keys, features = KEYS[:1], FEATURES[:1]
    if axis == "examples":
        keys, features = jax.random.split(jax.random.key(3), num), jnp.broadcast_to(features, (num, NUM_FEATURES))
    z, _, statistics = call(PARAMS, keys, features, num if axis == "samples" else 1)
    z = np.asarray(z, np.float64).reshape(num, DIM)
    mean, var = np.asarray(statistics.mean[0]), np.exp(np.asarray(statistics.log_var[0], np.float64))
    assert np.all(np.abs(z.mean(0) - mean) < 4.0 * np.sqrt(var / num))
    assert np.all(np.abs(z.var(0) / var - 1.0) < 4.0 * np.sqrt(2.0 / num))
    # Neither dimensions nor neighbours are correlated.
    neighbours = np.concatenate([z[:-1], z[1:]], axis=1)
    assert np.all(np.abs(np.corrcoef(neighbours.T)[np.triu_indices(2 * DIM, 1)]) < 4.0 / np.sqrt(num))


def test_posterior_draws_are_reparameterised():
    def total(params):
        z, _, statistics = POSTERIOR.apply(params, KEYS, FEATURES, 2)
        return jnp.sum(z), (z, statistics)

    gradient, (z, statistics) = jax.jit(jax.grad(total, has_aux=True))(PARAMS)
    bias = gradient["params"]["statistics"]["bias"]
    # dz/dmean = 1 and dz/dlog_var = (z - mean) / 2.
    np.testing.assert_allclose(bias[:DIM], np.full(DIM, 2.0 * NUM_EXAMPLES), rtol=1e-5)
    expected = np.sum(0.5 * (np.asarray(z) - np.asarray(statistics.mean)), axis=(0, 1))
    np.testing.assert_allclose(bias[DIM:], expected, rtol=1e-4, atol=1e-5)


def test_posterior_extreme_log_variance_gives_finite_values_and_gradients():
    bias = jnp.array([0.0, 1e4, -1e4, -1e3, 1e3, 100.0])
    dense = {"kernel": jnp.zeros((NUM_FEATURES, 2 * DIM)), "bias": bias}

    def total(dense):
        params = {"params": {"statistics": dense}}
        z, log_qz, _ = call(params, KEYS, FEATURES, 2)
        return jnp.sum(z) + jnp.sum(log_qz) + jnp.sum(log_prob(params, FEATURES, z))

    value, gradient = jax.jit(jax.value_and_grad(total))(dense)
    assert np.isfinite(value)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


def test_posterior_refuses_features_of_another_batch():
    with pytest.raises(ValueError, match=r"features has shape \[3, 5\], expected \[4, any\]\."):
        POSTERIOR.apply(PARAMS, KEYS, FEATURES[:3], 1)
