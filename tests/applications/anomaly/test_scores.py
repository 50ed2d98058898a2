"""Scores of a linear-Gaussian model, where every density has a closed form."""

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.applications.anomaly import seen as views
from jaxvae.applications.anomaly.floors import FLOORS
from jaxvae.applications.anomaly.scores import SCORES
from jaxvae.applications.anomaly.seen import Model, Seen
from jaxvae.applications.compression.formats import compressed_nats
from jaxvae.types import Dataset
from tests.linear import SIGMA, STD, A, B, W, linear_images, linear_system

IMAGES, KEY = linear_images(12), jax.random.key(3)
X = IMAGES.reshape(12, -1).astype(np.float64)


def log_px(decoder, offset):
    """log N(x; b, W W^T + sigma^2 I)."""
    covariance = decoder @ decoder.T + SIGMA**2 * np.eye(6)
    distance = np.einsum("bi,ij,bj->b", X - offset, np.linalg.inv(covariance), X - offset)
    return -0.5 * (distance + np.linalg.slogdet(covariance)[1] + 6 * np.log(2 * np.pi))


def changed(params, **statistics):
    """Other statistics of q(z | x), or another decoder."""
    found = {**params["posterior"]["statistics"], **statistics}
    return {**params, "posterior": {"statistics": {name: jnp.asarray(v, jnp.float32) for name, v in found.items()}}}


def see(params=None, images=IMAGES, **options):
    system, true = linear_system()
    return Seen(Model(system, true if params is None else params, {}), Dataset(images, None), KEY, **options)


def score(name, seen, normal=None):
    return np.asarray(SCORES[name].of(SCORES[name].fit(seen if normal is None else normal), seen), np.float64)


def test_with_the_exact_posterior_bound_and_likelihood_are_the_closed_form():
    seen = see()
    for name in ("negative_elbo", "likelihood", "corrected"):
        np.testing.assert_allclose(score(name, seen), -log_px(W, B), rtol=1e-4)
    np.testing.assert_allclose(score("complexity", seen), -log_px(W, B) - compressed_nats(IMAGES), atol=1e-3)
    typical = np.abs(log_px(W, B) - log_px(W, B).mean())
    np.testing.assert_allclose(score("typicality", seen), typical, atol=1e-3)


def test_kl_and_reconstruction_are_the_closed_forms_on_average_over_draws(monkeypatch):
    monkeypatch.setattr(views, "BOUND_SAMPLES", 4_000)
    seen = see()
    mean = (X - B) @ A.T
    kl = 0.5 * np.sum(np.square(mean) + STD**2 - 1 - 2 * np.log(STD), axis=1)
    np.testing.assert_allclose(score("kl", seen), kl, atol=0.1)
    np.testing.assert_allclose(score("reconstruction", seen), -log_px(W, B) - kl, atol=0.1)


def test_the_regret_is_what_the_encoder_loses():
    """Of a q(z | x) that is off by one standard deviation and too wide, whose ELBO is log p(x) - KL(q || p(z | x))."""
    _, params = linear_system()
    off, wide = 1.0 * STD, 0.5
    bias = np.concatenate([-A @ B + off, np.full(2, 2 * np.log(STD) + wide)])
    seen = see(changed(params, bias=bias))
    lost = 2 * 0.5 * ((off**2 + STD**2 * np.exp(wide)) / STD**2 - 1 - wide)
    found = score("regret", seen)
    np.testing.assert_allclose(found, lost, atol=0.4)  # by 200 latents
    assert found.mean() == pytest.approx(lost, abs=0.1)
    np.testing.assert_allclose(score("regret", see()), 0, atol=0.2)


def test_the_ratio_is_that_of_both_likelihoods():
    system, params = linear_system()
    other = {**params, "decoder": {"dense": {**params["decoder"]["dense"], "bias": jnp.asarray(B + 0.2, jnp.float32)}}}
    bias = jnp.asarray(np.concatenate([-A @ (B + 0.2), np.full(2, 2 * np.log(STD))]), jnp.float32)
    found = score("ratio", see(background=Model(system, changed(other, bias=bias), {})))
    np.testing.assert_allclose(found, log_px(W, B + 0.2) - log_px(W, B), rtol=1e-3, atol=1e-2)
    with pytest.raises(UserError, match="needs a background model"):
        score("ratio", see())


def test_distances_of_codes_are_those_of_the_posterior_means():
    normal, seen = see(images=linear_images(50, seed=1)), see()
    means = (X - B) @ A.T
    np.testing.assert_allclose(seen.codes, means, atol=1e-5)
    others = (normal.pixels - B) @ A.T
    nearest = np.sort(np.linalg.norm(means[:, None] - others[None], axis=2), axis=1)[:, :5].mean(axis=1)
    np.testing.assert_allclose(score("neighbours", seen, normal), nearest, atol=1e-4)


def test_larger_is_stranger():
    normal = see(images=linear_images(200, seed=1))
    strange = see(images=np.float32(np.random.default_rng(0).random((12, *IMAGES.shape[1:]))))
    for name in ("negative_elbo", "reconstruction", "corrected", "likelihood", "typicality"):
        assert score(name, strange, normal).mean() > np.quantile(score(name, normal), 0.9), name
    for name in ("nearest_pixels", "pca"):
        floor = FLOORS[name]
        fitted = floor.fit(normal)
        assert floor.of(fitted, strange).mean() > floor.of(fitted, see()).mean(), name


@pytest.mark.parametrize("name", sorted(set(SCORES) - {"codes", "quantization", "ratio", "regret"}))
def test_a_part_of_the_images_has_the_same_scores_and_nothing_is_computed_twice(name):
    seen, rows = see(), np.array([7, 2])
    part = seen.rows(rows)
    assert len(part) == 2
    fitted = SCORES[name].fit(seen)
    np.testing.assert_array_equal(SCORES[name].of(fitted, part), np.asarray(SCORES[name].of(fitted, seen))[rows])
    np.testing.assert_array_equal(part.rows([1]).pixels[0], seen.pixels[2])
    assert seen.bound is seen.bound


def test_scores_do_not_depend_on_how_many_images_are_given():
    for name in ("corrected", "reconstruction", "mahalanobis", "likelihood"):
        fitted = SCORES[name].fit(see())
        few = SCORES[name].of(fitted, see(images=IMAGES[:3]))
        np.testing.assert_allclose(few, np.asarray(SCORES[name].of(fitted, see()))[:3], rtol=1e-5)


def test_simple_images_are_short():
    flat, noise = (
        np.zeros((1, 16, 16, 1), np.uint8),
        np.random.default_rng(0).integers(0, 256, (1, 16, 16, 1), np.uint8),
    )
    steps = np.tile(np.arange(16, dtype=np.uint8)[:, None], (1, 16))[None, ..., None]
    sizes = [compressed_nats(one)[0] for one in (flat, steps, noise)]
    assert sizes[0] < sizes[1] < 0.2 * sizes[2]
    assert sizes[2] >= 256 * np.log(256) * 0.99  # which noise cannot be below
    np.testing.assert_array_equal(compressed_nats(noise / np.float32(255)), sizes[2:])


def test_pixels_that_change_little_from_one_to_the_next_are_shorter_as_differences():
    walk = np.cumsum(np.random.default_rng(0).integers(0, 4, (1, 16, 16, 1)), axis=2).astype(np.uint8)
    raw = 8 * np.log(2) * len(zlib.compress(walk.tobytes(), 9))
    sizes = [compressed_nats(one)[0] for one in (walk, walk.transpose(0, 2, 1, 3))]
    assert sizes[0] < 0.7 * raw
    assert sizes[1] < 0.7 * raw
