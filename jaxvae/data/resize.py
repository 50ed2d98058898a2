"""Bring images to one square size, with strokes that survive."""

import functools
import math
from typing import Any

import numpy as np

from jaxvae.data.limits import check_memory, check_sides
from jaxvae.types import Dataset, DataSpec, Splits

ROWS = 1024  # of a large image that are made floats at a time


def resize_parts(splits: Splits, spec: DataSpec, size: int) -> tuple[Splits, DataSpec]:
    """Bring all images of a loaded set to [size, size, C].

    Args:
      splits: images [N, H, W, C].
      spec: their spec.
      size: side in pixels.

    Returns:
      The set with images [N, size, size, C], binary where it was, and its spec.

    Raises:
      UserError: if the images are too large before or after.
    """
    ink = rare_value([data.x for data in splits]) if spec.num_values == 2 else None
    check_sides(spec.shape[0], spec.shape[1], "The images")
    num, itemsize = sum(len(data.x) for data in splits), splits.train.x.dtype.itemsize
    check_memory(num * size * size * spec.shape[-1] * itemsize, f"{num:,} images of {size}x{size} pixels")
    parts = []
    for data in splits:
        x = np.empty((len(data.x), size, size, spec.shape[-1]), data.x.dtype)
        for i, image in enumerate(data.x):
            x[i] = resize(image, size, ink)
        parts.append(Dataset(x, data.labels, data.names))
    return Splits(*parts), spec._replace(shape=(size, size, spec.shape[-1]))


def rare_value(images: Any) -> int:
    """Find which of 0 and 1 is the ink, that is the rarer one, over binary arrays."""
    ones = sum(int(x.sum()) for x in images)
    return int(2 * ones <= sum(x.size for x in images))


def resize(image: np.ndarray, size: int, ink: int | None = None) -> np.ndarray:
    """Bring one image to a square.

    An image that is not square is padded to one first, evenly on both sides, with the median colour of its border:
    nothing is cut off and proportions are kept. Then

    - grey and colour images become the exact mean over the area of each new pixel;
    - binary images stay binary: an old pixel belongs to the new one that its upper left corner falls into, and a new
      one is ink where any of its own is. A stroke of one pixel survives any reduction without a gap; the price is that
      broad strokes gain up to one new pixel of width.

    Args:
      image: [H, W, C], uint8 or float32.
      size: side of the new image, in pixels.
      ink: for binary images the value, 0 or 1, that must survive; None for all others.

    Returns:
      [size, size, C] of the same type.
    """
    image = _pad_to_square(image)
    side = len(image)
    if side == size:
        return image
    if ink is None:
        weights, channels = _area_weights(side, size), image.shape[2]
        blocks = (slice(start, start + ROWS) for start in range(0, side, ROWS))
        y = sum(weights[:, rows] @ image[rows].reshape(-1, side * channels).astype(np.float32) for rows in blocks)
        y = np.reshape(y, (size, side, channels))
        y = weights @ y  # the left axis stays, the product is over the columns
        return np.rint(y).astype(np.uint8) if image.dtype == np.uint8 else y.clip(0, 1).astype(np.float32)
    if size > side:
        rows = np.arange(size) * side // size
        return image[rows][:, rows]
    first = -(
        -np.arange(size) * side // size
    )  # the old pixels first[i] : first[i + 1] have their corner in new pixel i
    reduce = np.maximum.reduceat if ink else np.minimum.reduceat
    return reduce(reduce(image, first, axis=0), first, axis=1)


def _pad_to_square(image: np.ndarray) -> np.ndarray:
    height, width, _ = image.shape
    if height == width:
        return image
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    # The element in the middle rather than a mean of two, so that binary images stay binary.
    colour = np.sort(border, axis=0)[len(border) // 2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.empty((side, side, image.shape[2]), image.dtype)
    square[:] = colour
    square[top : top + height, left : left + width] = image
    return square


@functools.lru_cache(maxsize=4)  # up to 128 MiB each
def _area_weights(old: int, new: int) -> np.ndarray:
    """[new, old]: the share of each old pixel in each new one, rows sum to one."""
    weights = np.zeros((new, old), np.float32)
    edges = np.arange(new + 1) * old / new
    for row, low, high in zip(weights, edges[:-1], edges[1:], strict=True):
        pixels = np.arange(int(low), min(old, math.ceil(high)))  # all others have none
        overlap = np.minimum(high, pixels + 1) - np.maximum(low, pixels)
        row[pixels] = overlap.clip(min=0) * new / old
    return weights
