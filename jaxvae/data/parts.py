"""What every source goes through: checks on the arrays, the cut into train, valid and test, and the `DataSpec`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxvae.data.classes import UNKNOWN, check_labels, count_classes
from jaxvae.data.limits import check_sides
from jaxvae.data.notices import notice
from jaxvae.data.part_names import SETS
from jaxvae.data.values import settle, warn_of_equal_images
from jaxvae.errors import UserError
from jaxvae.types import Dataset, DataSpec, Splits

PARTS = ("train", "valid", "test")
SPLIT_SEED = 0  # of every cut that the data do not fix themselves
ROUNDING = 1e-6  # that floats may be outside of [0, 1]


def finish(parts: Mapping[str, Dataset], name: str, classes: tuple[str, ...] = ()) -> tuple[Splits, DataSpec]:
    """Check raw parts, cut the missing ones from `train`, and settle on one dtype for all.

    Integers and bools become uint8. Floats in [0, 1] become uint8 where every one is k/255 to within the rounding of
    float32, and stay float32 otherwise. Images of two values, and images of which each has only {0, 1} or {0, 255}, are
    binary: uint8 {0, 1}. Labels are kept where the training images have them. What is unusual is said in a line.

    Args:
      parts: "train" and, where they exist, "valid" and "test": images [N, H, W] or [N, H, W, C] with labels [N] or
        None.
      name: the source, for messages.
      classes: names of the classes, where they have some.

    Returns:
      The three parts, images [N, H, W, C] and labels [N] int32 or None, and their spec, with classes where all images
      have labels.

    Raises:
      UserError: if images or labels are not what is described above, or too few to be cut.
    """
    parts = cut_missing({part: check_part(data, f"{name}: {SETS[part]}") for part, data in parts.items()}, name)
    shapes = {part: parts[part].x.shape[1:] for part in PARTS}
    for part, shape in shapes.items():
        if shape != shapes["train"]:
            raise UserError(
                f"{name}: {SETS[part]} images have shape {list(shape)} and training images {list(shapes['train'])}; "
                "all must have one shape."
            )
    images, num_values = settle({part: parts[part].x for part in PARTS}, name)
    warn_of_equal_images(images, name)
    labels = {part: parts[part].labels for part in PARTS}
    if labels["train"] is None:
        if labelled := [SETS[part] for part, y in labels.items() if y is not None]:
            notice(f"{name}: {' and '.join(labelled)} images have labels, training images none: they are not used.")
        labels = dict.fromkeys(PARTS)
    num_classes = count_classes(labels, name, classes)
    splits = Splits(*(Dataset(x, labels[part], parts[part].names) for x, part in zip(images, PARTS, strict=True)))
    return splits, DataSpec(shapes["train"], num_values, num_classes, classes if num_classes else ())


def cut_missing(parts: Mapping[str, Dataset], name: str) -> dict[str, Dataset]:
    """Cut the missing ones of `valid` and `test` from `train`, always the same way.

    Each missing part is a tenth of the training images (at least one), drawn without replacement by a fixed seed: both
    missing give 80 %, 10 % and 10 %. Where there are labels each class gives its share, of those images alone that have
    a class, and keeps one image for training if there are enough of others. What remains keeps its order.
    """
    train, missing = parts["train"], [part for part in PARTS[1:] if part not in parts]
    if not missing:
        return dict(parts)
    known = np.arange(len(train.x))
    if train.labels is not None and not (train.labels == UNKNOWN).all():
        known = np.flatnonzero(train.labels != UNKNOWN)
    num = len(known)
    if num < len(missing) + 1:
        with_class = " with a class" if num < len(train.x) else ""
        raise UserError(
            f"{name} has {num} training image{'s' * (num != 1)}{with_class}, at least {len(missing) + 1} are needed to "
            f"cut {' and '.join(SETS[part] for part in missing)} images from them."
        )
    size = max(1, round(num / 10))
    size = min(size, (num - 1) // len(missing))
    order = known[np.random.default_rng(SPLIT_SEED).permutation(num)]
    drawn = order[: len(missing) * size]
    if train.labels is not None:
        drawn = _by_class(order, train.labels, len(drawn), len(missing))
    cut = {part: take(train, np.sort(drawn[i * size : (i + 1) * size])) for i, part in enumerate(missing)}
    return {**parts, **cut, "train": take(train, np.setdiff1d(np.arange(len(train.x)), drawn))}


def take(data: Dataset, rows: Any) -> Dataset:
    """Select rows of the images, and of labels and names where there are any."""
    labels, names = (None if one is None else np.asarray(one)[rows] for one in (data.labels, data.names))
    return Dataset(data.x[rows], labels, names)


def check_images(x: np.ndarray, name: str) -> np.ndarray:
    """Return images [N, H, W, C], uint8 or float32 in [0, 1], of what can be taken for such.

    Args:
      x: [N, H, W] or [N, H, W, C]: bools, integers 0 to 255, or floats in [0, 1], which may be outside by a rounding.
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
    check_sides(*x.shape[1:3], f"{name} images")
    if x.dtype == bool or x.dtype == np.uint8:
        return x.astype(np.uint8, copy=False)
    low, high = x.min(), x.max()  # NaN comes through both
    if x.dtype.kind in "ui":
        if low < 0 or high > 255:
            raise UserError(f"{name} images hold integers from {low} to {high}, expected 0 to 255.")
        return x.astype(np.uint8)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UserError(f"{name} images hold NaN or infinite values, expected floats from 0 to 1.")
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise UserError(
            f"{name} images hold floats from {low:g} to {high:g}, expected 0 to 1; "
            "scale them, or store 0 to 255 as uint8."
        )
    x = x.astype(np.float32, copy=False)
    return x.clip(0, 1) if low < 0 or high > 1 else x


def check_part(data: Dataset, name: str) -> Dataset:
    """Return one part with images [N, H, W, C], uint8 or float32, in range, and labels [N] int32 or None."""
    x = check_images(np.asarray(data.x), name)
    labels = None if data.labels is None else check_labels(np.asarray(data.labels), len(x), name)
    return Dataset(x, labels, data.names)


# ---------- private


def _by_class(order: np.ndarray, labels: np.ndarray, num: int, num_parts: int) -> np.ndarray:
    """Choose rows for some parts, one part after the other, of each class its share.

    Args:
      order: rows to choose from, in random order.
      labels: of all images.
      num: rows to choose, a multiple of the number of parts.
      num_parts: that they are for.

    Returns:
      Rows [num].
    """
    rows = order[np.argsort(labels[order], kind="stable")]
    is_first = np.diff(labels[rows], prepend=labels[rows][0] - 1) != 0
    spare = rows[~is_first]  # all but one of each class
    if len(spare) < num:  # mostly classes of one image
        return order[:num]
    # Evenly spaced places in an order by class: each class has its share, to within one.
    places = ((2 * np.arange(num) + 1) * len(spare)) // (2 * num)
    return spare[places].reshape(-1, num_parts).T.ravel()
