"""Samples against real images, both as feature vectors: Frechet distance, fidelity and diversity, modes.

Which features these are is the caller's to say: numbers in the features of one network cannot be compared with those of
another. That of the Frechet distance is "Frechet Inception distance" only of Inception's, which are not meant here.

Letters in the shapes: N real images, M samples, F features.
"""

from typing import Any, NamedTuple

import numpy as np

from jaxvae.errors import UserError

NEIGHBOURS = 5  # the k of Naeem et al.
RESAMPLINGS, RANGE = 200, (0.025, 0.975)
CHUNK = 500  # rows of distances at a time


class Neighbourhoods(NamedTuple):
    """What each image counts for in four measures, which are means over images."""

    precision: np.ndarray  # [M], 1 of a sample that is in the neighbourhood of a real image
    recall: np.ndarray  # [N], 1 of a real image that is in the neighbourhood of a sample
    density: np.ndarray  # [M], neighbourhoods of real images that a sample is in, divided by k
    coverage: np.ndarray  # [N], 1 of a real image in whose neighbourhood there is a sample


def frechet_distance(real: Any, samples: Any) -> float:
    """Return the squared Frechet distance of two sets of features, each taken as a Gaussian (Heusel et al. 2017).

      |m_r - m_s|^2 + tr(C_r + C_s - 2 (C_r C_s)^(1/2))

    It is never negative, 0 of equal moments, and too large by an amount that falls with the number of images: compare
    sets of one size, and with the distance of two sets of real images.

    Args:
      real: features [N, F].
      samples: features [M, F].

    Raises:
      UserError: if there are fewer than two of either, or the features are not of one length, or not finite.
    """
    real, samples = _checked(real, samples, 2)
    once = (np.full((1, len(features)), 1.0 / len(features)) for features in (real, samples))
    moments = (_moments(*pair) for pair in zip((real, samples), once, strict=True))
    return float(_distance_of_gaussians(*next(moments), *next(moments))[0])


def neighbourhoods(real: Any, samples: Any, k: int = NEIGHBOURS) -> Neighbourhoods:
    """Return precision, recall, density and coverage, image by image.

    The neighbourhood of a vector is the open ball up to its k-th nearest neighbour in its own set. Precision and recall
    are those of Kynkaanniemi et al. 2019, eq. 1 and 2, density and coverage those of Naeem et al. 2020, eq. 3 and 5.
    Two samples of one distribution do not give 1: of 10,000 Gaussian vectors of 1,000 dimensions each, and k = 5, they
    give 0.48, 0.47, 1.06 and 0.97.

    Args:
      real: features [N, F].
      samples: features [M, F].
      k: of the neighbour.

    Raises:
      UserError: if either has no more than k, or the features are not of one length, or not finite.
    """
    real, samples = _checked(real, samples, k + 1)
    of_real, of_samples = _radii(real, k), _radii(samples, k)
    hits, nearest, recalled = np.zeros(len(samples)), np.full(len(real), np.inf), np.zeros(len(real), bool)
    for start in range(0, len(real), CHUNK):
        rows = slice(start, start + CHUNK)
        distances = _squared_distances(real[rows], samples)
        hits += (distances < of_real[rows, None]).sum(axis=0)
        nearest[rows] = distances.min(axis=1)
        recalled[rows] = (distances < of_samples[None]).any(axis=1)
    return Neighbourhoods((hits > 0).astype(float), recalled.astype(float), hits / k, (nearest < of_real).astype(float))


def sample_measures(real: Any, samples: Any, *, k: int = NEIGHBOURS, seed: int = 0) -> dict[str, Any]:
    """Return all measures of samples, each with a bootstrap interval.

    An interval is [v + q_0.025, v + q_0.975] of the deviations of values of resampled images from their own mean, so
    that it is around the value though resampling makes Frechet distances larger. Both sets are resampled; neighbours
    are not looked for again, as images that are drawn twice would be their own.

    Args:
      real: features of real images, [N, F].
      samples: features of samples, [M, F].
      k: of the neighbourhoods.
      seed: of the resampling.

    Returns:
      "frechet_distance", "precision", "recall", "density" and "coverage", and of each NAME_interval, [low, high].

    Raises:
      UserError: as `neighbourhoods`.
    """
    near = neighbourhoods(real, samples, k)
    real, samples = _checked(real, samples, k + 1)
    rng = np.random.default_rng(seed)
    of_real, of_samples = (_drawn_again(rng, len(features)) for features in (real, samples))
    distances = _distance_of_gaussians(*_moments(real, of_real), *_moments(samples, of_samples))
    drawn = {"frechet_distance": distances}
    for name, values in near._asdict().items():
        drawn[name] = (of_real if name in ("recall", "coverage") else of_samples) @ values
    found = {"frechet_distance": frechet_distance(real, samples)}
    found |= {name: float(values.mean()) for name, values in near._asdict().items()}
    intervals = {}
    for name, values in drawn.items():
        ends = found[name] + np.quantile(values - values.mean(), RANGE)
        intervals[f"{name}_interval"] = np.maximum(ends, 0.0).tolist()
    return found | intervals


def modes(classes: Any, num_classes: int) -> dict[str, float]:
    """Return how many classes samples are of, and how evenly: of stacked images, whose modes are triples of digits.

      KL(samples || uniform) = sum_c p_c log(p_c K),    p_c the share of class c

    A perfect sampler of even classes has about (K - 1) / (2 M) nats, 0.019 of 26,000 samples and 1,000 classes.

    Args:
      classes: of every sample, [M], or of each of its channels, [M, C]: a mode is then a combination of these.
      num_classes: of a sample, or of each of its channels; K is the number of combinations.

    Returns:
      "modes", the number of them that there are, and "modes_kl", nats.
    """
    classes = np.asarray(classes)
    columns = classes.reshape(len(classes), -1)
    total = num_classes ** columns.shape[1]
    flat = np.ravel_multi_index(tuple(columns.T), (num_classes,) * columns.shape[1])
    share = np.bincount(flat, minlength=total) / len(classes)
    there = share[share > 0]
    return {"modes": len(there), "modes_kl": float(np.sum(there * np.log(there * total)))}


# ---------- private


def _checked(real: Any, samples: Any, least: int) -> tuple[np.ndarray, np.ndarray]:
    real, samples = np.asarray(real, np.float64), np.asarray(samples, np.float64)
    for name, features in (("real images", real), ("samples", samples)):
        if features.ndim != 2 or features.shape[1] != real.shape[-1]:
            raise UserError(f"The features of {name} are {list(features.shape)}, expected [N, F] with one F for both.")
        if len(features) < least:
            raise UserError(f"There are {len(features)} {name}, expected at least {least} for measures of samples.")
        if not np.isfinite(features).all():
            raise UserError(f"The features of {name} are not all finite.")
    return real, samples


def _moments(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means [R, F] and covariances [R, F, F] of vectors that are drawn again with weights [R, N], which sum to 1."""
    num, dim = features.shape
    centred = features - features.mean(axis=0)
    second = np.zeros((len(weights), dim * dim))
    for start in range(0, num, CHUNK):  # one product for all resamplings: many small ones would wait for each other
        some = centred[start : start + CHUNK]
        second += weights[:, start : start + CHUNK] @ (some[:, :, None] * some[:, None]).reshape(len(some), -1)
    mean = weights @ centred
    cov = second.reshape(-1, dim, dim) - mean[:, :, None] * mean[:, None]
    return mean + features.mean(axis=0), cov * num / (num - 1)


def _distance_of_gaussians(
    mean: np.ndarray, cov: np.ndarray, other_mean: np.ndarray, other_cov: np.ndarray
) -> np.ndarray:
    """Of R pairs of Gaussians."""
    # tr (A B)^(1/2) = tr (A^(1/2) B A^(1/2))^(1/2), of a symmetric matrix, whose eigenvalues are found reliably.
    values, vectors = np.linalg.eigh(cov)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))[:, None]) @ vectors.swapaxes(1, 2)
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other_cov @ root), 0.0)).sum(axis=1)
    traces = np.trace(cov, axis1=1, axis2=2) + np.trace(other_cov, axis1=1, axis2=2)
    return np.maximum(np.sum(np.square(mean - other_mean), axis=1) + traces - 2.0 * cross, 0.0)


def _radii(features: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of every vector to its k-th nearest other one, [N]."""
    radii = np.empty(len(features))
    for start in range(0, len(features), CHUNK):
        distances = _squared_distances(features[start : start + CHUNK], features)
        rows = np.arange(len(distances))
        distances[rows, start + rows] = np.inf  # not itself
        radii[start : start + CHUNK] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    distances: np.ndarray = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1)[None] - 2.0 * a @ b.T
    return np.maximum(distances, 0.0)


def _drawn_again(rng: np.random.Generator, num: int) -> np.ndarray:
    """Shares of images of which as many are drawn with replacement, [RESAMPLINGS, num]."""
    return np.stack([np.bincount(rng.integers(0, num, num), minlength=num) / num for _ in range(RESAMPLINGS)])
