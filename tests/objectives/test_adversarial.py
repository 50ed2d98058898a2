"""Adversarial losses against closed forms: of a linear and a quadratic discriminator, and by finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxvae import objectives
from jaxvae.errors import UserError

REAL, FAKE = jnp.array([2.0, -1.0, 0.0, 300.0]), jnp.array([0.5, 3.0, 0.0, -300.0])
X = np.random.default_rng(0).normal(size=(3, 2, 2, 1)).astype(np.float32)
WEIGHTS = np.array([[[1.0], [-2.0]], [[0.5], [3.0]]], np.float32)


def sigmoid(t):
    return 1 / (1 + np.exp(-np.asarray(t, np.float64)))


def linear(x):
    return jnp.sum(x * WEIGHTS[None], axis=(1, 2, 3))


def quadratic(x):
    return jnp.sum(jnp.square(x) * WEIGHTS[None], axis=(1, 2, 3)) + 7.0


def test_losses_by_their_formulas():
    difference = np.asarray(REAL - FAKE, np.float64)
    some = difference < 100
    relativistic = objectives.relativistic_discriminator(REAL, FAKE), objectives.relativistic_generator(REAL, FAKE)
    np.testing.assert_allclose(relativistic[0], np.logaddexp(0, -difference), rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(relativistic[0][some], -np.log(sigmoid(difference[some])), rtol=1e-5)
    np.testing.assert_allclose(relativistic[1][some], -np.log(sigmoid(-difference[some])), rtol=1e-5)
    cross_entropy = -np.log(sigmoid(REAL[:3])) - np.log(1 - sigmoid(FAKE[:3]))
    np.testing.assert_allclose(objectives.non_saturating_discriminator(REAL, FAKE)[:3], cross_entropy, rtol=1e-5)
    np.testing.assert_allclose(objectives.non_saturating_generator(FAKE)[:3], -np.log(sigmoid(FAKE[:3])), rtol=1e-5)
    np.testing.assert_allclose(objectives.non_saturating_generator(FAKE)[3], 300.0)  # finite however sure


def test_gradients_of_a_linear_discriminator_by_their_formulas():
    """D(x) = w.x: dL_D/dw of a pair is -s(-(d)) (x - y) + gamma w (R1 and R2 are |w|^2 / 2 each); dL_G/dy = -s(d) w."""
    x, y, w, gamma = X[0].ravel(), X[1].ravel(), WEIGHTS.ravel(), 0.7

    def discriminator_loss(w):
        judge = lambda x: x @ w  # noqa: E731
        pair = objectives.relativistic_discriminator(judge(x[None]), judge(y[None]))
        penalties = [objectives.gradient_penalty(judge, jnp.asarray(one)[None]) for one in (x, y)]
        return jnp.sum(pair + gamma * (penalties[0] + penalties[1]))

    found = jax.grad(discriminator_loss)(jnp.asarray(w))
    np.testing.assert_allclose(found, -sigmoid(-(w @ (x - y))) * (x - y) + 2 * gamma * w, rtol=1e-5)
    generator_loss = lambda y: objectives.relativistic_generator(jnp.asarray(w @ x)[None], (y @ w)[None])[0]  # noqa: E731
    np.testing.assert_allclose(jax.grad(generator_loss)(jnp.asarray(y)), -sigmoid(w @ (x - y)) * w, rtol=1e-5)


def test_gradient_penalties_of_linear_and_quadratic_discriminators():
    np.testing.assert_allclose(objectives.gradient_penalty(linear, X), np.full(3, 0.5 * np.sum(WEIGHTS**2)), rtol=1e-6)
    expected = 0.5 * np.sum((2 * X * WEIGHTS[None]) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(objectives.gradient_penalty(quadratic, X), expected, rtol=1e-5)


def test_gradient_penalties_by_finite_differences():
    w = np.random.default_rng(1).normal(size=(4, 5))

    def judge(x):
        return jnp.sum(jnp.sin(x.reshape(len(x), -1) @ w.astype(np.float32)), axis=1)

    def exact(x):
        return np.sum(np.sin(x.reshape(-1) @ w))

    step, x = 1e-5, X.astype(np.float64)
    expected = [
        0.5
        * sum(
            ((exact(one + step * e) - exact(one - step * e)) / (2 * step)) ** 2 for e in np.eye(4).reshape(4, 2, 2, 1)
        )
        for one in x
    ]
    np.testing.assert_allclose(objectives.gradient_penalty(judge, X), expected, rtol=1e-4)


def test_a_penalty_is_of_logits_one_for_each_input():
    with pytest.raises(ValueError, match=r"what a discriminator gives has shape \[3, 2, 1\], expected \[3\]"):
        objectives.gradient_penalty(lambda x: x.sum(axis=1), X)


def test_packs_are_neighbours_side_by_side_in_the_channels():
    x = np.arange(4 * 2 * 3 * 2).reshape(4, 2, 3, 2).astype(np.float32)
    packs = objectives.pack(jnp.asarray(x), 2)
    np.testing.assert_array_equal(packs, [np.concatenate([x[0], x[1]], -1), np.concatenate([x[2], x[3]], -1)])
    np.testing.assert_array_equal(objectives.pack(jnp.asarray(x), 1), x)
    np.testing.assert_array_equal(objectives.pack(jnp.asarray(x[:, 0, 0]), 2)[0], [*x[0, 0, 0], *x[1, 0, 0]])
    with pytest.raises(UserError, match="3 images cannot be divided into packs of 2: expected a batch, on each device"):
        objectives.pack(x[:3], 2)


def test_feature_errors_are_a_gaussian_up_to_its_constant():
    a, b = X.reshape(3, 4), X[::-1].reshape(3, 4)
    expected = [
        -stats.multivariate_normal(y, np.eye(4)).logpdf(x) - 2 * np.log(2 * np.pi) for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(objectives.feature_error(jnp.asarray(b), jnp.asarray(a)), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="features of reconstructions has shape"):
        objectives.feature_error(jnp.asarray(b)[:2], jnp.asarray(a))
