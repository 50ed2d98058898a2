"""What every source goes through: checks on the arrays, the cut into train, valid and test, and the `DataSpec`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxvae.errors import UserError
from jaxvae.types import Dataset, DataSpec, Splits

PARTS = ("train", "valid", "test")
SPLIT_SEED = 0  # of every cut that the data do not fix themselves


def finish(parts: Mapping[str, Dataset], name: str) -> tuple[Splits, DataSpec]:
    """Check raw parts, cut the missing ones from `train`, and settle on one dtype for all.

    Integers and bools become uint8. Floats in [0, 1] become uint8 where every one is k/255 to within the rounding of
    float32, and stay float32 otherwise. Images whose only values are {0, 1}, or {0, 255}, are binary: uint8 {0, 1}.
    Labels are kept where the training images have them.

    Args:
      parts: "train" and, where they exist, "valid" and "test": images [N, H, W] or [N, H, W, C] with labels [N] or
        None.
      name: the source, for messages.

    Returns:
      The three parts, images [N, H, W, C] and labels [N] int32 or None, and their spec, with classes where all parts
      have labels.

    Raises:
      UserError: if images or labels are not what is described above, or too few to be cut.
    """
    parts = cut_missing({part: _check(data, f"{name}: {part}") for part, data in parts.items()}, name)
    shapes = {part: parts[part].x.shape[1:] for part in PARTS}
    for part, shape in shapes.items():
        if shape != shapes["train"]:
            raise UserError(
                f"{name}: {part} images have shape {list(shape)} and train images {list(shapes['train'])}; "
                "all parts must have one shape."
            )
    images, num_values = _one_dtype([parts[part].x for part in PARTS])
    labelled = parts["train"].labels is not None
    labels = [parts[part].labels if labelled else None for part in PARTS]
    given = [y for y in labels if y is not None]
    num_classes = max(int(y.max()) + 1 for y in given) if len(given) == len(labels) else 0
    splits = Splits(*(Dataset(x, y) for x, y in zip(images, labels, strict=True)))
    return splits, DataSpec(shapes["train"], num_values, num_classes)


def cut_missing(parts: Mapping[str, Dataset], name: str) -> dict[str, Dataset]:
    """Cut the missing ones of `valid` and `test` from `train`, always the same way.

    Each missing part is a tenth of the training images (at least one), drawn without replacement by a fixed seed: both
    missing give 80 %, 10 % and 10 %. What remains keeps its order.
    """
    train, missing = parts["train"], [part for part in PARTS[1:] if part not in parts]
    if not missing:
        return dict(parts)
    num = len(train.x)
    if num < len(missing) + 1:
        raise UserError(
            f"{name} has {num} training image{'s' * (num != 1)}, at least {len(missing) + 1} are needed to cut "
            f"{' and '.join(missing)} from them."
        )
    size = max(1, round(num / 10))
    size = min(size, (num - 1) // len(missing))
    order = np.random.default_rng(SPLIT_SEED).permutation(num)
    cut = {part: take(train, np.sort(order[i * size : (i + 1) * size])) for i, part in enumerate(missing)}
    return {**parts, **cut, "train": take(train, np.sort(order[len(missing) * size :]))}


def take(data: Dataset, rows: Any) -> Dataset:
    """Select rows of the images and of the labels, where there are any."""
    return Dataset(data.x[rows], None if data.labels is None else data.labels[rows])


def check_images(x: np.ndarray, name: str) -> np.ndarray:
    """Return images [N, H, W, C], uint8 or float32 in [0, 1], of what can be taken for such.

    Args:
      x: [N, H, W] or [N, H, W, C]: bools, integers 0 to 255, or floats in [0, 1].
      name: what they are, for messages.

    Raises:
      UserError: if they are something else.
    """
    if x.dtype.kind not in "buif":
        raise UserError(f"{name} images are of type {x.dtype}, expected unsigned 8-bit integers, bools or floats.")
    if x.ndim not in (3, 4):
        raise UserError(f"{name} images have shape {list(x.shape)}, expected [N, H, W] or [N, H, W, C].")
    x = x[..., None] if x.ndim == 3 else x
    if x.shape[-1] not in (1, 3):
        raise UserError(
            f"{name} images have shape {list(x.shape)}, that is {x.shape[-1]} channels, expected 1 or 3; "
            "channels come last."
        )
    if x.size == 0:
        raise UserError(f"{name} images have shape {list(x.shape)}, expected at least one image of at least one pixel.")
    if x.dtype == bool or x.dtype == np.uint8:
        return x.astype(np.uint8, copy=False)
    low, high = x.min(), x.max()  # NaN comes through both
    if x.dtype.kind in "ui":
        if low < 0 or high > 255:
            raise UserError(f"{name} images hold integers from {low} to {high}, expected 0 to 255.")
        return x.astype(np.uint8)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UserError(f"{name} images hold NaN or infinite values, expected floats from 0 to 1.")
    if low < 0 or high > 1:
        raise UserError(
            f"{name} images hold floats from {low:g} to {high:g}, expected 0 to 1; "
            "scale them, or store 0 to 255 as uint8."
        )
    return x.astype(np.float32, copy=False)


def _check(data: Dataset, name: str) -> Dataset:
    """One part with images [N, H, W, C], bool, uint8 or float32, in range, and labels [N] int32 or None."""
    x = check_images(np.asarray(data.x), name)
    return Dataset(x, None if data.labels is None else _check_labels(np.asarray(data.labels), len(x), name))


def _check_labels(labels: np.ndarray, num: int, name: str) -> np.ndarray:
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1 or labels.dtype.kind not in "ui":
        raise UserError(
            f"{name} labels are {labels.dtype} of shape {list(labels.shape)}, expected one integer an image, [N]."
        )
    if len(labels) != num:
        raise UserError(f"{name} has {num} images and {len(labels)} labels, expected one label an image.")
    if labels.min() < 0 or labels.max() >= 2**31:
        raise UserError(f"{name} labels go from {labels.min()} to {labels.max()}, expected class numbers from 0.")
    return labels.astype(np.int32)


def _one_dtype(images: list[np.ndarray]) -> tuple[list[np.ndarray], int]:
    """Settle on uint8 or float32 for all parts, and on the number of values that a pixel takes."""
    if any(x.dtype == np.float32 for x in images):
        floats = [x.astype(np.float32) / 255 if x.dtype == np.uint8 and x.max() > 1 else x for x in images]
        levels = [np.rint(x * np.float32(255)) for x in floats]
        if any(np.abs(x * np.float32(255) - level).max() > 1e-4 for x, level in zip(floats, levels, strict=True)):
            return [x.astype(np.float32) for x in floats], 256
        images = [level.astype(np.uint8) for level in levels]
    if all(x.max() <= 1 for x in images):
        return images, 2
    if all(_only_0_and_255(x) for x in images):
        return [(x == 255).astype(np.uint8) for x in images], 2
    return images, 256


def _only_0_and_255(x: np.ndarray) -> bool:
    """The first images decide in most cases, so that grey data are not read in full."""
    return all(bool(np.isin(part, (0, 255)).all()) for part in (x[:16], x[16:]))
