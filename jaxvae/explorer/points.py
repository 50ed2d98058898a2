"""The points of the map: encoded images, with pictures of as many as there is room for."""

import math
from typing import Any

import numpy as np

from jaxvae.explorer.measures import Measured
from jaxvae.explorer.pictures import data_url, sheet
from jaxvae.explorer.weights import in_digits, in_halves

PICTURES = 120_000  # bytes of the pictures, or a sixth of a byte a parameter where that is more
FEWEST = 12  # pictures, however large they are


def map_images(measured: Measured, labels: Any, classes: tuple[str, ...], num_params: int) -> dict[str, Any]:
    """Return the images on the map as JSON has them: codes of all, pictures of the first ones.

    Args:
      measured: what the model makes of them.
      labels: classes [N], negative where one is not known, or None.
      classes: names of the classes, () where they have none.
      num_params: of the model, by which the room for pictures grows.
    """
    codes = measured.stats.mean
    file, columns, shown = as_many(measured.x, max(PICTURES, num_params // 6))
    mean, axes = principal_axes(codes)
    known = [] if labels is None else [int(label) for label in labels]
    present = sorted({label for label in known if label >= 0})
    return {
        "codes": in_halves(codes),
        "labels": [present.index(label) if label >= 0 else None for label in known],
        "classes": [classes[label] if label < len(classes) else str(label) for label in present],
        "elbo": in_digits(measured.elbo),
        "pictures": data_url(file),
        "columns": columns,
        "shown": shown,
        "mean": in_digits(mean),
        "axes": [in_digits(axis) for axis in axes],
    }


def principal_axes(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of codes and the two directions in which they vary most.

    Args:
      codes: [N, D].

    Returns:
      The mean [D], and directions of length 1, [2, D]; fewer where there are fewer codes or latents.
    """
    mean = codes.mean(axis=0)
    _, _, axes = np.linalg.svd(codes - mean, full_matrices=False)
    axes = axes[:2]
    # The sign of an axis is free: its largest entry is positive, whatever computed it.
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1, keepdims=True), axis=1)
    return mean, axes * np.sign(largest)


def as_many(x: np.ndarray, most: int) -> tuple[bytes, int, int]:
    """Return a sheet of as many images as fit into so many bytes, a dozen at least.

    Args:
      x: images [N, H, W, C] in [0, 1].
      most: bytes.

    Returns:
      The file, how many images are in a row, and how many there are.
    """
    shown = len(x)
    while True:
        file, columns = sheet(x[:shown])
        if len(file) <= most or shown <= FEWEST:
            return file, columns, shown
        shown = max(FEWEST, min(shown - 1, math.floor(0.95 * shown * most / len(file))))
