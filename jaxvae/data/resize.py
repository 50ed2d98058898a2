"""Bring images to one size, with strokes that survive."""

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
    parts = [resize_dataset(data, (size, size), ink) for data in splits]
    return Splits(*parts), spec._replace(shape=(size, size, spec.shape[-1]))


def resize_dataset(data: Dataset, size: tuple[int, int], ink: int | None = None) -> Dataset:
    """Bring the images of a set to [N, H, W, C] with another height and width: see `resize`."""
    x = np.empty((len(data.x), *size, data.x.shape[-1]), data.x.dtype)
    for i, image in enumerate(data.x):
        x[i] = resize(image, size, ink)
    return Dataset(x, data.labels, data.names)


def rare_value(images: Any) -> int:
    """Find which of 0 and 1 is the ink, that is the rarer one, over binary arrays."""
    ones = sum(int(x.sum()) for x in images)
    return int(2 * ones <= sum(x.size for x in images))


def resize(image: np.ndarray, size: int | tuple[int, int], ink: int | None = None) -> np.ndarray:
    """Bring one image to a size.

    An image of other proportions is padded to them first, evenly on both sides, with the median colour of its border:
    nothing is cut off and proportions are kept. Then

    - grey and colour images become the exact mean over the area of each new pixel;
    - binary images stay binary: an old pixel belongs to the new one that its upper left corner falls into, and a new
      one is ink where any of its own is. A stroke of one pixel survives any reduction without a gap; the price is that
      broad strokes gain up to one new pixel of width.

    Args:
      image: [H, W, C], uint8 or float32.
      size: of the new image, in pixels: height and width, or the side of a square.
      ink: for binary images the value, 0 or 1, that must survive; None for all others.

    Returns:
      [size, C] of the same type.
    """
    height, width = size if isinstance(size, tuple) else (size, size)
    image = _padded(image, height, width)
    if image.shape[:2] == (height, width):
        return image
    if ink is not None:
        return _of_ink(_of_ink(image, height, 0, ink), width, 1, ink)
    rows, columns = _area_weights(image.shape[0], height), _area_weights(image.shape[1], width)
    blocks = (slice(start, start + ROWS) for start in range(0, len(image), ROWS))
    flat = image.shape[1] * image.shape[2]
    y = sum(rows[:, block] @ image[block].reshape(-1, flat).astype(np.float32) for block in blocks)
    y = np.reshape(y, (height, image.shape[1], -1))
    y = columns @ y  # the left axis stays, the product is over the columns
    return np.rint(y).astype(np.uint8) if image.dtype == np.uint8 else y.clip(0, 1).astype(np.float32)


def _of_ink(image: np.ndarray, size: int, axis: int, ink: int) -> np.ndarray:
    """A binary image with another number of pixels along one axis, in which ink survives."""
    side = image.shape[axis]
    if size >= side:
        return np.take(image, np.arange(size) * side // size, axis)
    # The old pixels first[i] : first[i + 1] have their corner in new pixel i.
    first = -(-np.arange(size) * side // size)
    return (np.maximum if ink else np.minimum).reduceat(image, first, axis=axis)


def _padded(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The image in the middle of the smallest one that has the proportions of height and width."""
    old_height, old_width, _ = image.shape
    if old_height * width >= old_width * height:
        shape = old_height, max(old_width, round(old_height * width / height))
    else:
        shape = max(old_height, round(old_width * height / width)), old_width
    if shape == image.shape[:2]:
        return image
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    # The element in the middle rather than a mean of two, so that binary images stay binary.
    colour = np.sort(border, axis=0)[len(border) // 2]
    top, left = (shape[0] - old_height) // 2, (shape[1] - old_width) // 2
    padded = np.empty((*shape, image.shape[2]), image.dtype)
    padded[:] = colour
    padded[top : top + old_height, left : left + old_width] = image
    return padded


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
