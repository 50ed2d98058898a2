"""Distances to normal examples against scikit-learn and slow loops."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from jaxvae.applications.anomaly import distances
from jaxvae.applications.anomaly.distances import (
    fit_components,
    fit_gaussians,
    mahalanobis,
    nearest_distances,
    reconstruction_errors,
)

RNG = np.random.default_rng(0)
X, REFERENCES = RNG.standard_normal((7, 4)), RNG.standard_normal((30, 4))


@pytest.mark.parametrize("num", [1, 3, 30, 99])
def test_nearest_distances_are_those_of_scikit_learn(num, monkeypatch):
    monkeypatch.setattr(distances, "CHUNK", 3)  # the last one is not full
    expected = NearestNeighbors(n_neighbors=min(num, 30)).fit(REFERENCES).kneighbors(X)[0].mean(axis=1)
    np.testing.assert_allclose(nearest_distances(X, REFERENCES, num), expected, rtol=1e-5)


def test_an_image_that_is_nearly_a_reference_keeps_its_distance():
    far = 1000 + REFERENCES
    found = nearest_distances(far[:1] + 0.01, far)
    np.testing.assert_allclose(found, np.linalg.norm(np.float32(far[0] + 0.01) - np.float32(far[0])), rtol=1e-6)


def test_mahalanobis_is_to_the_nearest_class_by_their_common_covariance(monkeypatch):
    monkeypatch.setattr(distances, "SHRINKAGE", 0.0)
    labels = np.arange(30) % 2 * 5
    fitted = fit_gaussians(REFERENCES, labels)
    means = np.stack([REFERENCES[labels == k].mean(axis=0) for k in (0, 5)])
    centred = REFERENCES - means[labels // 5]
    inverse = np.linalg.inv(centred.T @ centred / 30)
    expected = [min(np.sqrt((x - mean) @ inverse @ (x - mean)) for mean in means) for x in X]
    np.testing.assert_allclose(mahalanobis(X, **fitted), expected)


def test_of_many_dimensions_only_variances_count(monkeypatch):
    monkeypatch.setattr(distances, "MOST_DIMS", 3)
    monkeypatch.setattr(distances, "SHRINKAGE", 0.0)
    fitted = fit_gaussians(REFERENCES)
    expected = np.linalg.norm((X - REFERENCES.mean(axis=0)) / REFERENCES.std(axis=0), axis=1)
    np.testing.assert_allclose(mahalanobis(X, **fitted), expected)


def test_codes_that_do_not_vary_have_finite_distances():
    same = np.tile(X[:1], (5, 1))
    assert np.isfinite(mahalanobis(X, **fit_gaussians(same))).all()
    flat = REFERENCES * np.array([1.0, 0.0, 1.0, 1.0])
    assert np.isfinite(mahalanobis(X, **fit_gaussians(flat))).all()


@pytest.mark.parametrize("num_examples", [30, 3])  # more of them than dimensions, and fewer
def test_errors_of_components_are_those_of_scikit_learn(num_examples):
    some = REFERENCES[:num_examples]
    pca = PCA(2).fit(some)
    expected = np.sum(np.square(X - pca.inverse_transform(pca.transform(X))), axis=1)
    np.testing.assert_allclose(reconstruction_errors(X, **fit_components(some, 2)), expected, rtol=1e-4)


def test_more_components_than_there_are_leave_nothing_of_what_was_fitted():
    for some in (REFERENCES, REFERENCES[:3]):
        np.testing.assert_allclose(reconstruction_errors(some, **fit_components(some, 32)), 0, atol=1e-9)
    assert np.isfinite(reconstruction_errors(X, **fit_components(np.zeros((3, 4)), 2))).all()
