"""Images in memory: as a data set to be trained on, and as examples for a system that is trained."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxvae.data.masks import named_mask
from jaxvae.data.parts import check_images, finish
from jaxvae.errors import UserError
from jaxvae.types import Dataset, DataSpec, Splits


def load_arrays(images: Any, labels: Any = None) -> tuple[Splits, DataSpec]:
    """Cut images into the parts train, valid and test, by a fixed seed: see `jaxvae.data.load`.

    Args:
      images: [N, H, W] or [N, H, W, C]: uint8, bool, or floats in [0, 1].
      labels: classes [N] from 0, or None.

    Raises:
      UserError: if they are something else, or too few.
    """
    labels = None if labels is None else as_array(labels, "labels")
    return finish({"train": Dataset(as_array(images, "images"), labels)}, "the images")


def as_array(values: Any, name: str) -> np.ndarray:
    """Return the array of what a person gives for one.

    Raises:
      UserError: if it is none, as lists of different lengths are not.
    """
    try:
        return np.asarray(values)
    except Exception as error:  # of whatever type the values have for it
        raise UserError(f"The {name} are no array ({str(error).splitlines()[0]}): give a NumPy array.") from error


def as_examples(images: Any, spec: DataSpec) -> np.ndarray:
    """Return images as a trained system takes them; what becomes of one does not depend on the others.

    A system of binary images takes black and white ones, of which every one has zeros and one other value at most,
    which is white. One of 8-bit images takes integers as they are, 1 as nearly black, and `True` as white.

    Args:
      images: [N, H, W] or [N, H, W, C]: uint8, bool, or floats in [0, 1].
      spec: of the data that the system was trained on.

    Returns:
      [N, H, W, C]: integers 0 to num_values - 1, or floats in [0, 1].

    Raises:
      UserError: if they are of another shape, or grey where the system is of binary images.
    """
    given = as_array(images, "images")
    x = check_images(given, "The")
    _check_shape(x, spec)
    grey = "The images are grey, the model is of black and white ones: threshold them, as"
    if x.dtype == np.float32:
        if spec.num_values == 2 and not np.isin(x, (0, 1)).all():
            raise UserError(f"{grey} x > 0.5.")
        return x
    if given.dtype == bool:
        return x * np.uint8(spec.num_values - 1)
    if spec.num_values == 2:
        white = x.max(axis=(1, 2, 3), keepdims=True)
        if not ((x == 0) | (x == white)).all():
            raise UserError(f"{grey} x > 127.")
        return (x > 0).astype(np.uint8)
    if x.max() >= spec.num_values:
        raise UserError(f"The images have values up to {x.max()}, the model knows 0 to {spec.num_values - 1}.")
    return x


def as_noisy_examples(images: Any, spec: DataSpec) -> np.ndarray:
    """Return noisy images as a trained system sees them: greys of binary images and values outside of [0, 1] are kept.

    Args:
      images: [N, H, W] or [N, H, W, C]: uint8, bool, or any finite floats, in the unit in which images are in [0, 1].
      spec: of the data that the system was trained on.

    Returns:
      float32 [N, H, W, C].

    Raises:
      UserError: if they are of another shape, or not finite.
    """
    given = as_array(images, "images")
    inside = np.clip(given, 0, 1) if given.dtype.kind == "f" else given
    x = check_images(inside, "The")
    _check_shape(x, spec)
    if given.dtype.kind == "f":
        return given.reshape(x.shape).astype(np.float32)
    if given.dtype == bool:
        return x.astype(np.float32)
    if spec.num_values == 2:  # 255 is white as soon as there is more than black and 1
        return x / np.where(x.max(axis=(1, 2, 3), keepdims=True) > 1, 255, 1).astype(np.float32)
    if x.max() >= spec.num_values:
        raise UserError(f"The images have values up to {x.max()}, the model knows 0 to {spec.num_values - 1}.")
    return x / np.float32(spec.num_values - 1)


def as_mask(mask: Any, num: int, spec: DataSpec) -> np.ndarray:
    """Return which pixels of images are filled in.

    Args:
      mask: [H, W] of all images, or [N, H, W]; with or without an axis of one channel. Booleans, or black and white as
        images have them: white is filled in. Or a name, see `jaxvae.data.masks`.
      num: N.
      spec: of the data that the system was trained on.

    Returns:
      Booleans, [1, H, W] or [N, H, W].

    Raises:
      UserError: if it is of another shape, or grey.
    """
    size = tuple(spec.shape[:2])
    if isinstance(mask, str):
        return named_mask(mask, *size)[None]
    given = as_array(mask, "masks")
    for shape in ((num, *size), size, (num, *size, 1), (*size, 1)):
        if given.shape == shape:
            break
    else:
        height, width = size
        raise UserError(
            f"The mask is of shape {list(given.shape)}, expected {[height, width]}, as the model has images, or one "
            f"for each of them, {[num, height, width]}: resize it."
        )
    if given.dtype.kind not in "buif" or not np.isin(given, (0, given.max())).all() or given.min() < 0:
        raise UserError("The mask has more values than black and white: threshold it, as mask > 127.")
    return (given != 0).reshape(-1, *size)


# ---------- private


def _check_shape(x: np.ndarray, spec: DataSpec) -> None:
    expected: Sequence[int] = spec.shape
    if x.shape[1:] != tuple(expected):
        height, width, channels = x.shape[1:]
        raise UserError(
            f"The images are of {height}x{width} pixels and {channels} channel{'s' * (channels != 1)}, the model is of "
            f"{expected[0]}x{expected[1]} and {expected[2]}: resize or convert them."
        )
