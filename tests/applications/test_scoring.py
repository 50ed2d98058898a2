"""Scores of images against closed forms, and against the estimates that they are made of."""

import jax
import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.applications.likelihood import estimate_likelihood
from jaxvae.applications.scoring import bits_per_nat, score
from jaxvae.types import Dataset, DataSpec
from tests.linear import SIGMA, B, W, linear_images, linear_system

KEY = jax.random.key(1)


def exact(images):
    """log N(x; b, W W^T + sigma^2 I)."""
    covariance = W @ W.T + SIGMA**2 * np.eye(6)
    centred = images.reshape(len(images), -1) - B
    distance = np.einsum("bi,ij,bj->b", centred, np.linalg.inv(covariance), centred)
    return -0.5 * (distance + np.linalg.slogdet(covariance)[1] + 6 * np.log(2 * np.pi))


def test_a_vae_with_the_exact_posterior_has_exact_scores_without_an_error():
    system, params = linear_system()
    images = linear_images(3)
    scores = score(system, params, {}, Dataset(images, None), 5, KEY)
    for found in (scores.elbo, scores.log_likelihood):
        np.testing.assert_allclose(found, exact(images), rtol=1e-4)
    np.testing.assert_allclose(scores.stderr, 0, atol=1e-2)
    assert scores.bits_per_dim is None  # of a density
    assert score(system, params, {}, Dataset(images, None), 1, KEY).stderr is None


def test_the_standard_error_is_the_spread_of_estimates():
    """Of 200 estimates of one image by a q(z | x) that is too wide."""
    system, params = linear_system()
    bias = params["posterior"]["statistics"]["bias"]
    wide = {**params, "posterior": {"statistics": {**params["posterior"]["statistics"], "bias": bias.at[2:].add(1.0)}}}
    images = np.repeat(linear_images(1), 200, axis=0)
    scores = score(system, wide, {}, Dataset(images, None), 50, KEY)
    assert abs(scores.log_likelihood.mean() - exact(images)[0]) < 0.05
    assert scores.stderr.mean() == pytest.approx(scores.log_likelihood.std(), rel=0.2)
    assert (scores.elbo < scores.log_likelihood).mean() > 0.99
    same = estimate_likelihood(system, wide, {}, Dataset(images, None), 50, KEY)
    np.testing.assert_array_equal(scores.log_likelihood, same.log_likelihood)


def test_bits_are_of_a_dimension():
    assert bits_per_nat(DataSpec((4, 4, 2), 2, 0)) == pytest.approx(1 / (32 * np.log(2)))


def test_a_system_without_a_likelihood_says_which_have_one():
    system, params = linear_system()
    with pytest.raises(UserError, match="linear has no likelihood of images: expected one of autoregressive models"):
        score(system._replace(use=()), params, {}, Dataset(linear_images(1), None))
