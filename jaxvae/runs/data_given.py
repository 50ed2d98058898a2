"""Whether examples are those that a system is of: an image with other values trains without a word, and in vain."""

from typing import Any

import jax
import numpy as np

from jaxvae.data.part_names import SETS
from jaxvae.errors import UserError
from jaxvae.types import Dataset, DataSpec, Splits


def check_values(splits: Splits, spec: DataSpec, name: str, num_classes: int = 0) -> None:
    """Raise unless examples and labels have values that a system knows.

    Args:
      splits: as `jaxvae.training.checks.check_splits` wants them.
      spec: of the system.
      name: of the system, for messages.
      num_classes: K, of one that is conditional on classes; 0 of others, whose labels are not looked at.

    Raises:
      UserError: if there are other values, types, or classes.
    """
    for part, dataset in zip(SETS.values(), splits, strict=True):
        leaves = jax.tree.leaves(dataset.x)
        if not leaves or not len(leaves[0]):
            raise UserError(f"The {part} set has no examples: expected at least one.")
        if leaves[0] is dataset.x:
            _check_examples(np.asarray(dataset.x), part, spec, name)
        if num_classes:
            _check_labels(dataset, part, num_classes, name)
    _check_binary(splits, spec, name)


# ---------- private


def _check_examples(x: np.ndarray, part: str, spec: DataSpec, name: str) -> None:
    """One set: floats in [0, 1] of images, integers below the number of values."""
    if x.dtype.kind not in "uif":
        raise UserError(f"The {part} set is of type {x.dtype}, expected what jaxvae.data.load gives: uint8 or float32.")
    if len(spec.shape) == 1 and x.dtype.kind == "f":
        return  # points in a space, which have no range
    low, high = x.min(), x.max()
    if x.dtype.kind == "f":
        if not (low >= 0 and high <= 1):  # NaN is neither
            raise UserError(f"The {part} set has floats from {low:g} to {high:g}, expected 0 to 1: scale them.")
        if spec.num_values == 2 and not ((x == 0) | (x == 1)).all():
            raise UserError(f"The {part} set is grey, {name} is of binary images: build it with the spec of these.")
    elif low < 0 or high >= spec.num_values:
        raise UserError(
            f"The {part} set has integers from {low} to {high}, {name} is of {spec.num_values} values: build it with "
            "the spec that jaxvae.data.load gives of the images."
        )


def _check_binary(splits: Splits, spec: DataSpec, name: str) -> None:
    """Zeros and ones are nearly black among 256 values: binary images that the system was not built for."""
    parts: list[Any] = [part.x for part in splits if isinstance(part.x, np.ndarray)]
    integers = len(spec.shape) == 3 and parts and all(x.dtype.kind in "ui" for x in parts)
    if integers and spec.num_values > 2 and max(int(x.max()) for x in parts) == 1:
        raise UserError(
            f"The images are binary, zeros and ones, {name} is of {spec.num_values} values: build it with the spec "
            "that jaxvae.data.load gives of them."
        )


def _check_labels(dataset: Dataset, part: str, num_classes: int, name: str) -> None:
    if dataset.labels is None:
        raise UserError(f"{name} is conditional on classes, and the {part} set has no labels.")
    low, high = int(np.min(dataset.labels)), int(np.max(dataset.labels))
    if low < 0 or high >= num_classes:
        raise UserError(f"The {part} set has labels from {low} to {high}, {name} has classes 0 to {num_classes - 1}.")
