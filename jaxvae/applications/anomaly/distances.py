"""Distances to what is normal: to the nearest examples, to Gaussians of classes, to a plane of principal components."""

from typing import Any

import numpy as np

CHUNK = 1_000  # examples at a time
MOST_DIMS = 512  # of a covariance; of more dimensions only their variances are known, else minutes would pass
SHRINKAGE = 0.01  # of a covariance towards its mean variance: directions in which nothing varied stay finite


def nearest_distances(x: Any, references: Any, num: int = 1) -> np.ndarray:
    """Return the mean of the Euclidean distances to the nearest references.

    Args:
      x: [N, D].
      references: [M, D].
      num: k, how many nearest ones count; all where there are fewer.

    Returns:
      [N] float64.
    """
    references = np.asarray(references, np.float32)
    squares, k = np.sum(np.square(references, dtype=np.float64), axis=1), min(num, len(references))
    parts = []
    for start in range(0, len(x), CHUNK):
        some = np.asarray(x[start : start + CHUNK], np.float32)
        near = squares[None] - 2.0 * (some @ references.T)
        rows = (
            np.argpartition(near, k - 1, axis=1)[:, :k]
            if k < len(references)
            else np.tile(np.arange(k), (len(some), 1))
        )
        # Anew from differences: those of squares lose their digits where an image is nearly one of the references.
        exact = [
            np.linalg.norm((a[None] - references[own]).astype(np.float64), axis=1)
            for a, own in zip(some, rows, strict=True)
        ]
        parts.append(np.array([np.sort(one).mean() for one in exact]))
    return np.concatenate(parts)


def fit_gaussians(x: Any, labels: Any = None) -> dict[str, np.ndarray]:
    """Fit Gaussians of one covariance, one for every class.

    Args:
      x: [N, D].
      labels: classes [N], or None: there is one Gaussian then.

    Returns:
      "means" [K, D], and "whiten" [D, D], after which the covariance is the identity; of more than `MOST_DIMS`
      dimensions [D], as if they were independent.

    References:
      Lee et al., "A simple unified framework for detecting out-of-distribution samples and adversarial attacks", 2018,
      arXiv:1807.03888, eq. 1 and 2.
    """
    x = np.asarray(x, np.float64)
    groups = np.zeros(len(x), int) if labels is None else np.unique(np.asarray(labels), return_inverse=True)[1]
    means = np.stack([x[groups == k].mean(axis=0) for k in range(groups.max() + 1)])
    centred = x - means[groups]
    variances = np.mean(np.square(centred), axis=0)
    least = SHRINKAGE * (np.mean(variances) or 1.0)
    if x.shape[1] > MOST_DIMS:
        return {"means": means, "whiten": 1.0 / np.sqrt(variances + least)}
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x) + least * np.eye(x.shape[1]))
    return {"means": means, "whiten": vectors / np.sqrt(values)}


def mahalanobis(x: Any, means: np.ndarray, whiten: np.ndarray) -> np.ndarray:
    """Return the Mahalanobis distance to the nearest of some means, [N, D] -> [N] float64."""
    x = np.asarray(x, np.float64)
    whitened = lambda centred: centred @ whiten if whiten.ndim == 2 else centred * whiten  # noqa: E731
    return np.min([np.linalg.norm(whitened(x - mean), axis=1) for mean in means], axis=0)


def fit_components(x: Any, num: int) -> dict[str, np.ndarray]:
    """Find the principal components of examples.

    Args:
      x: [N, D].
      num: of components; fewer where N or D is smaller.

    Returns:
      "mean" [D] and "components" [num, D], float32.
    """
    x = np.asarray(x, np.float32)
    mean = x.mean(axis=0)
    centred, most = x - mean, min(num, len(x) - 1, x.shape[1])
    if len(x) > x.shape[1]:
        components = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :most].T
    else:
        values, vectors = np.linalg.eigh(centred @ centred.T)
        kept = [i for i in range(len(x))[::-1][:most] if values[i] > 1e-6 * max(values[-1], 1e-12)]
        components = (centred.T @ vectors[:, kept] / np.sqrt(values[kept])).T
    return {"mean": mean, "components": np.ascontiguousarray(components, np.float32)}


def reconstruction_errors(x: Any, mean: np.ndarray, components: np.ndarray) -> np.ndarray:
    """Return the squared errors of examples as their principal components give them, [N, D] -> [N] float64."""
    parts = []
    for start in range(0, len(x), CHUNK):
        centred = np.asarray(x[start : start + CHUNK], np.float32) - mean
        rest = centred - (centred @ components.T) @ components
        parts.append(np.sum(np.square(rest, dtype=np.float64), axis=1))
    return np.concatenate(parts)
