"""Optimizers by name against their update rules, worked out in numpy."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.training import cosine_adam, cosine_optimizer
from jaxvae.training.optimizers import injected_learning_rate

GRADS = [np.array([0.5, -2.0], np.float32), np.array([-0.1, 0.3], np.float32), np.array([4.0, 0.0], np.float32)]
RATE, STEPS, START = 0.1, 10, np.array([1.0, -1.0], np.float32)


def trained(optimizer, grads=GRADS, start=START):
    params = {"w": jnp.asarray(start)}
    state = optimizer.init(params)
    for grad in grads:
        updates, state = optimizer.update({"w": jnp.asarray(grad)}, state, params)
        params = optax.apply_updates(params, updates)
    return np.asarray(params["w"])


def rate(step):
    return RATE * (0.98 * 0.5 * (1 + np.cos(np.pi * step / STEPS)) + 0.02)


def test_adam_by_name_is_adam():
    expected = trained(cosine_adam(RATE, STEPS))
    np.testing.assert_allclose(trained(cosine_optimizer("adam", RATE, STEPS)), expected, rtol=1e-6)


def test_adamax_divides_by_the_largest_gradient_that_is_not_forgotten():
    m, u, w = np.zeros(2), np.zeros(2), START.astype(np.float64)
    for t, grad in enumerate(GRADS):
        m = 0.9 * m + 0.1 * grad
        u = np.maximum(0.999 * u, np.abs(grad) + 1e-8)
        w -= rate(t) / (1 - 0.9 ** (t + 1)) * m / u
    np.testing.assert_allclose(trained(cosine_optimizer("adamax", RATE, STEPS)), w, rtol=1e-5)


@pytest.mark.parametrize("name", ["adam", "adamax"])
def test_weight_decay_shrinks_parameters_beside_the_gradient(name):
    plain, decayed = (trained(cosine_optimizer(name, RATE, STEPS, decay), GRADS[:1]) for decay in (0.0, 0.3))
    np.testing.assert_allclose(decayed, plain - RATE * 0.3 * START, rtol=1e-6)


def test_muon_gives_matrices_orthogonal_updates():
    grad = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)
    moved = -trained(cosine_optimizer("muon", RATE, STEPS), [grad], np.zeros_like(grad)) / RATE
    singular = np.linalg.svd(moved, compute_uv=False)
    assert (np.abs(singular - 1) < 0.4).all()  # as far as five Newton-Schulz iterations bring them
    assert np.linalg.svd(grad, compute_uv=False).max() > 3


@pytest.mark.parametrize("name", ["adam", "adamax", "muon"])
def test_learning_rates_can_be_swept(name):
    assert injected_learning_rate(cosine_optimizer(name, RATE, STEPS)) == pytest.approx(RATE)
