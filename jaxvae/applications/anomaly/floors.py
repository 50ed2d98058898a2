"""Scores that need no deep model, reported beside every other one: whoever does not beat them needs none."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from jaxvae.applications.anomaly.distances import fit_components, nearest_distances, reconstruction_errors
from jaxvae.applications.anomaly.seen import Seen, unit_rows

REFERENCES = 6_000  # normal images that a nearest one is looked for among
COMPONENTS = 32
FITTED, FITTED_LARGE = 20_000, 2_000  # normal images that principal components are of, and of more than LARGE numbers
LARGE = 2_000
NUMBERS = 20_000_000  # of all references of one kind, 80 MB

Fitted = Mapping[str, np.ndarray]


class Floor(NamedTuple):
    """A score of images without the model that saw them; larger is stranger."""

    words: str  # what it is
    fit: Callable[[Seen], Fitted]  # of normal images
    of: Callable[[Fitted, Seen], np.ndarray]  # -> [N]


def evenly(num: int, most: int, size: int = 1) -> np.ndarray:
    """Return at most so many rows of `num`, at even distances; of rows of `size` numbers, as many as memory is for."""
    return np.linspace(0, num - 1, min(num, most, max(1, NUMBERS // size))).round().astype(int)


def _fit_nearest(seen: Seen) -> Fitted:
    return {"images": np.asarray(seen.dataset.x)[evenly(len(seen), REFERENCES, seen.pixels.shape[1])]}


def _nearest(fitted: Fitted, seen: Seen) -> np.ndarray:
    return nearest_distances(seen.pixels, unit_rows(fitted["images"], seen.model.system.spec.num_values))


def _fit_pca(seen: Seen) -> Fitted:
    most = FITTED_LARGE if seen.pixels.shape[1] > LARGE else FITTED
    return fit_components(seen.pixels[evenly(len(seen), most)], COMPONENTS)


def _pca(fitted: Fitted, seen: Seen) -> np.ndarray:
    return reconstruction_errors(seen.pixels, fitted["mean"], fitted["components"])


def _fit_size(seen: Seen) -> Fitted:
    return {"median": np.median(seen.compressed)}


def _size(fitted: Fitted, seen: Seen) -> np.ndarray:
    return np.abs(seen.compressed - fitted["median"])


FLOORS: dict[str, Floor] = {
    "nearest_pixels": Floor("distance to the nearest normal image", _fit_nearest, _nearest),
    "pca": Floor(f"squared error of {COMPONENTS} principal components", _fit_pca, _pca),
    "compressed_size": Floor("distance of the compressed size to the median of normal images", _fit_size, _size),
}
