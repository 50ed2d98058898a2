"""The flow posterior: its density is that of its draws, and the model uses it as any other."""

import functools

import jax
import numpy as np
import pytest
from scipy import stats

from jaxvae.distributions import normal_log_prob
from jaxvae.flows import PlanarFlow
from jaxvae.posteriors import FlowPosterior, GaussianPosterior
from tests.drawn import normal_like

NUM_EXAMPLES, NUM_FEATURES, DIM, NUM_SAMPLES = 4, 5, 3, 2
KEYS = jax.random.split(jax.random.key(1), NUM_EXAMPLES)
FEATURES = jax.random.normal(jax.random.key(2), (NUM_EXAMPLES, NUM_FEATURES))


@functools.cache
def made(amortized, num_flows=3):
    posterior = FlowPosterior(GaussianPosterior(DIM), PlanarFlow(DIM, num_flows, amortized=amortized))
    shapes = jax.eval_shape(lambda: posterior.init(jax.random.key(0), KEYS, FEATURES, 1))
    return posterior, normal_like(shapes, scale=0.4)


def call(posterior, params, num_samples=NUM_SAMPLES):
    return jax.jit(posterior.apply, static_argnums=3)(params, KEYS, FEATURES, num_samples)


@pytest.mark.parametrize("amortized", [False, True])
def test_log_qz_equals_that_of_the_base_minus_the_flows(amortized):
    posterior, params = made(amortized)
    z, log_qz, statistics = call(posterior, params)
    base = {"params": params["params"]["base"]}
    z_0, log_q0, _ = posterior.base.apply(base, KEYS, FEATURES, NUM_SAMPLES)
    expected, log_det = posterior.flow.apply({"params": params["params"]["flow"]}, z_0, FEATURES)
    np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_qz, log_q0 - log_det, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(log_q0, jax.vmap(jax.vmap(normal_log_prob), (None, 0))(statistics, z_0), rtol=1e-4)


@pytest.mark.parametrize("amortized", [False, True])
def test_log_prob_of_draws_is_that_of_the_draw(amortized):
    posterior, params = made(amortized)
    z, log_qz, _ = call(posterior, params)
    given = jax.jit(functools.partial(posterior.apply, method="log_prob"))(params, FEATURES, z)
    np.testing.assert_allclose(given, log_qz, rtol=1e-3, atol=2e-3)


def test_mean_is_that_of_the_draws_and_not_of_the_base():
    posterior, params = made(True)
    mean = jax.jit(functools.partial(posterior.apply, method="mean"), static_argnums=3)
    z, _, statistics = call(posterior, params, 4000)
    got = np.asarray(mean(params, KEYS, FEATURES, 4000))
    np.testing.assert_allclose(got, np.mean(np.asarray(z), axis=0), rtol=1e-4, atol=1e-4)
    error = stats.sem(np.asarray(z), axis=0)
    assert np.any(np.abs(got - np.asarray(statistics.mean)) > 6 * error)


def test_no_flow_is_the_gaussian_posterior():
    posterior, params = made(True, num_flows=0)
    z, log_qz, _ = call(posterior, params)
    z_0, log_q0, _ = call(posterior.base, {"params": params["params"]["base"]})
    np.testing.assert_allclose(z, z_0, rtol=1e-6)
    np.testing.assert_allclose(log_qz, log_q0, rtol=1e-6)
