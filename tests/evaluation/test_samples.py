"""Measures of samples against loops over a few vectors, closed forms of Gaussians, and what the papers print."""

import numpy as np
import pytest
from scipy import linalg

from jaxvae import UserError
from jaxvae.evaluation import frechet_distance, modes, neighbourhoods, sample_measures
from jaxvae.evaluation import samples as module


def vectors(num, dim, seed=0, scale=1.0, shift=0.0):
    return np.random.default_rng(seed).normal(shift, scale, (num, dim))


def with_moments(mean, cov, num=60):
    """Vectors that have exactly these moments."""
    raw = vectors(num, len(mean), 3)
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(raw.T))).T)
    return white @ np.linalg.cholesky(np.asarray(cov)).T + mean


def test_frechet_distance_is_that_of_gaussians_with_these_moments():
    root = vectors(4, 4, 5)
    mean, cov, other = np.arange(4.0), root @ root.T + np.eye(4), np.diag([1.0, 2.0, 0.5, 3.0])
    expected = np.sum(mean**2) + np.trace(cov + other - 2 * linalg.sqrtm(cov @ other).real)
    found = frechet_distance(with_moments(mean, cov), with_moments(np.zeros(4), other))
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_frechet_distance_by_hand():
    # Of one dimension: the squared differences of the means and of the standard deviations.
    a, b = with_moments([1.0], [[4.0]]), with_moments([3.0], [[9.0]])
    np.testing.assert_allclose(frechet_distance(a, b), 2.0**2 + (3.0 - 2.0) ** 2, rtol=1e-9)


def test_equal_sets_have_no_distance_though_their_covariance_is_singular():
    a = np.repeat(vectors(5, 2), 3, axis=1)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-6)


def balls(features, k):
    distances = np.linalg.norm(features[:, None] - features[None], axis=2)
    return np.sort(distances, axis=1)[:, k]  # the first is that to itself


@pytest.mark.parametrize("k", [1, 3])
def test_neighbourhoods_are_those_of_loops(monkeypatch, k):
    monkeypatch.setattr(module, "CHUNK", 7)  # several of them
    real, samples = vectors(20, 3), vectors(17, 3, 1, shift=0.5)
    of_real, of_samples = balls(real, k), balls(samples, k)
    near = np.linalg.norm(real[:, None] - samples[None], axis=2)
    found = neighbourhoods(real, samples, k)
    np.testing.assert_array_equal(found.precision, [any(near[i, j] < of_real[i] for i in range(20)) for j in range(17)])
    np.testing.assert_array_equal(found.recall, [any(near[i, j] < of_samples[j] for j in range(17)) for i in range(20)])
    hits = [sum(near[i, j] < of_real[i] for i in range(20)) / k for j in range(17)]
    np.testing.assert_allclose(found.density, hits)
    np.testing.assert_array_equal(found.coverage, [near[i].min() < of_real[i] for i in range(20)])
    assert 0 < found.precision.mean() < 1
    assert 0 < found.coverage.mean() < 1


@pytest.mark.slow
def test_of_two_samples_of_a_gaussian_they_are_what_its_authors_print():
    found = neighbourhoods(vectors(10_000, 1_000, 0), vectors(10_000, 1_000, 1), 5)
    means = np.array([float(values.mean()) for values in found])
    # They print one draw. In 1,000 dimensions few vectors are near to very many: density varies by 0.05 between draws.
    assert np.all(np.abs(means - [0.48, 0.47, 1.06, 0.97]) < [0.04, 0.02, 0.16, 0.02])


def test_copies_of_few_images_are_faithful_but_cover_little():
    real = vectors(200, 2)
    found = neighbourhoods(real, np.repeat(real[:4], 50, axis=0) + vectors(200, 2, 1, 1e-3))
    assert found.precision.mean() > 0.9
    assert found.coverage.mean() < 0.3


def test_intervals_are_around_the_values_and_hold_the_spread_of_new_sets():
    real = vectors(300, 3)
    found = sample_measures(real, vectors(280, 3, 1, 1.0, 0.7), seed=4)
    for name in ("frechet_distance", "precision", "recall", "density", "coverage"):
        low, high = found[f"{name}_interval"]
        assert low < found[name] < high, name
    again = [frechet_distance(vectors(300, 3, 10 + i), vectors(280, 3, 200 + i, 1.0, 0.7)) for i in range(40)]
    low, high = found["frechet_distance_interval"]
    assert 0.5 < (high - low) / np.subtract(*np.quantile(again, (0.975, 0.025))) < 2.0
    assert sample_measures(real, vectors(280, 3, 1, 1.0, 0.7), seed=4) == found


def test_modes_by_hand():
    found = modes([[0, 1], [1, 1], [0, 1], [0, 0]], 2)
    p = np.array([0.5, 0.25, 0.25])
    assert found["modes"] == 3
    np.testing.assert_allclose(found["modes_kl"], np.sum(p * np.log(p * 4)))
    assert modes(np.arange(10), 10) == {"modes": 10, "modes_kl": pytest.approx(0.0)}


def test_a_perfect_sampler_of_a_thousand_modes_has_the_divergence_that_is_stated():
    drawn = np.random.default_rng(0).integers(0, 10, (26_000, 3))
    found = modes(drawn, 10)
    assert found["modes"] == 1_000
    assert found["modes_kl"] == pytest.approx(999 / 52_000, rel=0.1)


@pytest.mark.parametrize(
    ("real", "samples", "said"),
    [
        (vectors(5, 2), vectors(20, 2), "There are 5 real images, expected at least 6"),
        (vectors(20, 2), vectors(20, 3), "expected .N, F. with one F for both"),
        (vectors(20, 2), np.full((20, 2), np.nan), "features of samples are not all finite"),
    ],
)
def test_what_cannot_be_measured_is_said(real, samples, said):
    with pytest.raises(UserError, match=said):
        neighbourhoods(real, samples)
