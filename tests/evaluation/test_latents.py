"""Active units, KL, mutual information against slow loops and closed forms; when a collapse is reported."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats as scipy_stats

from jaxvae.evaluation import latents
from jaxvae.types import GaussianParams


def gaussians(mean, log_var):
    return GaussianParams(jnp.asarray(mean, jnp.float32), jnp.asarray(log_var, jnp.float32))


def test_activity_is_the_variance_over_examples():
    means = jnp.array([[1.0, 5.0, 0.0], [3.0, 5.0, 0.1], [5.0, 5.0, 0.2]])
    np.testing.assert_allclose(latents.activity(means), [8.0 / 3.0, 0.0, 0.02 / 3.0], rtol=1e-5)


def test_active_units_are_above_the_threshold():
    means = 2.0 * jnp.sqrt(jnp.array([[0.0], [1.0]]) * jnp.array([[0.0101, 0.0099, 0.0]]))  # variances at 0.01
    assert latents.active_units(means).tolist() == [True, False, False]
    assert latents.active_units(means, threshold=0.005).tolist() == [True, True, False]


def test_kl_per_dimension_equals_a_hand_worked_mean():
    # KL(N(m, v) || N(0, 1)) = (v + m^2 - 1 - log v) / 2
    stats = gaussians([[1.0, 0.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, np.log(4.0)]])
    np.testing.assert_allclose(latents.kl_per_dimension(stats), [1.25, (3.0 - np.log(4.0)) / 4.0], rtol=1e-6)


def test_activity_of_sampled_means_leaves_out_their_noise():
    rng = np.random.default_rng(0)
    true = np.sqrt([0.0, 0.02]) * rng.standard_normal((20_000, 2))
    first, second = (true + 0.1 * rng.standard_normal(true.shape) for _ in range(2))  # means of 100 samples
    found = latents.activity(jnp.asarray(first), jnp.asarray(second))
    np.testing.assert_allclose(found, np.mean((first - first.mean(0)) * (second - second.mean(0)), 0), atol=1e-5)
    np.testing.assert_allclose(found, [0.0, 0.02], atol=1e-3)
    np.testing.assert_allclose(latents.activity(jnp.asarray(first)), first.var(0), rtol=1e-4)
    assert latents.active_units(jnp.asarray(first), jnp.asarray(second)).tolist() == [False, True]
    with pytest.raises(ValueError, match="again has shape"):
        latents.activity(jnp.zeros((3, 2)), jnp.zeros((3, 1)))


def test_mutual_information_equals_a_slow_loop():
    mean, log_var = np.random.default_rng(0).normal(size=(2, 7, 3))
    key = jax.random.key(1)
    total = 0.0
    for n in range(7):
        noise = np.asarray(jax.random.normal(jax.random.fold_in(key, n), (3,)), np.float64)
        z = mean[n] + np.exp(log_var[n] / 2.0) * noise
        log_q = scipy_stats.norm.logpdf(z, mean, np.exp(log_var / 2.0)).sum(axis=1)
        total += log_q[n] - np.log(np.mean(np.exp(log_q)))
    estimate = latents.mutual_information(key, gaussians(mean, log_var), chunk_size=3)
    np.testing.assert_allclose(estimate, total / 7, rtol=1e-5)


def test_mutual_information_of_a_gaussian_channel():
    # z = x + noise with variances 4 and 1: I = log(1 + 4) / 2 a dimension.
    mean = 2.0 * np.random.default_rng(0).normal(size=(1000, 2))
    estimate = latents.mutual_information(jax.random.key(0), gaussians(mean, np.zeros_like(mean)))
    np.testing.assert_allclose(estimate, np.log(5.0), atol=0.08)


def test_mutual_information_is_zero_when_collapsed_and_log_n_when_examples_are_told_apart():
    key, estimate = jax.random.key(0), jax.jit(latents.mutual_information)
    collapsed = gaussians(np.zeros((50, 1)), np.zeros((50, 1)))
    np.testing.assert_allclose(estimate(key, collapsed), 0.0, atol=1e-5)
    apart = gaussians(10.0 * np.arange(50)[:, None], np.full((50, 1), -20.0))
    np.testing.assert_allclose(estimate(key, apart), np.log(50.0), rtol=1e-5)


@pytest.mark.parametrize(("num_active", "kl"), [(19, 25.0), (1, 1.5), (50, 3.0)])
def test_diagnose_collapse_is_silent_about_a_healthy_posterior(num_active, kl):
    assert latents.diagnose_collapse(num_active, 50, kl) is None


@pytest.mark.parametrize(("num_active", "kl"), [(0, 0.003), (0, 5.0), (3, 0.4), (0, float("nan"))])
def test_diagnose_collapse_is_one_sentence(num_active, kl):
    units = " and none of the 50 latent units is active" if not num_active else ""
    expected = f"The KL is {kl:.2f} nats{units}, so z carries almost no information (posterior collapse)."
    assert latents.diagnose_collapse(num_active, 50, kl) == expected


def test_one_example_says_nothing_of_how_latents_vary():
    one = gaussians(np.zeros((1, 2)), np.zeros((1, 2)))
    for measure in (lambda: latents.active_units(one.mean), lambda: latents.mutual_information(jax.random.key(0), one)):
        with pytest.raises(ValueError, match="mean.* is of 1 example, expected at least 2, as they are to vary"):
            measure()


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match="means has shape"):
        latents.active_units(jnp.zeros(3))
    with pytest.raises(ValueError, match="stats.log_var has shape"):
        latents.kl_per_dimension(gaussians(np.zeros((4, 2)), np.zeros((4, 3))))
