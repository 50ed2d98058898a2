"""Codes as people hand them in: checked before they enter a compiled program, which would take whatever it gets."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxvae.data.arrays import as_array
from jaxvae.errors import UserError

Shapes = Sequence[tuple[int, ...]]


def given_grids(codes: Any, name: str, shapes: Shapes, num_codes: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Return grids of codes as arrays of integers.

    Args:
      codes: [N, h, w], or as many in a tuple or a list as there are.
      name: of the system, for messages.
      shapes: of the grids of one image.
      num_codes: K of each.

    Raises:
      UserError: if they are something else.
    """
    several = len(shapes) > 1 or isinstance(codes, tuple)
    parts = tuple(codes) if several and isinstance(codes, tuple | list) else (codes,)
    if len(parts) != len(shapes):
        raise UserError(f"{name} has {_counted(len(shapes), 'grid')} of codes an image, got {len(parts)}.")
    grids = tuple(as_array(part, "codes") for part in parts)
    for grid, shape, most in zip(grids, shapes, num_codes, strict=True):
        if grid.dtype.kind not in "ui":
            raise UserError(f"The codes are of type {grid.dtype}, expected the integers that `encode` gives.")
        _check_shape(grid, name, shape)
        low, high = int(grid.min()), int(grid.max())
        if low < 0 or high >= most:
            raise UserError(f"The codes are from {low} to {high}, those of {name} from 0 to {most - 1}.")
    _check_lengths(grids)
    return tuple(grid.astype(np.int32) for grid in grids)


def given_vectors(codes: Any, name: str, shapes: Shapes) -> np.ndarray:
    """Return the vectors of the group of latents that is decoded, the first, as floats.

    Args:
      codes: [N, D], or those of all groups in a tuple, as `encode` gives them.
      name: of the system, for messages.
      shapes: of the vectors of one image in every group.

    Raises:
      UserError: if they are something else.
    """
    parts = codes if isinstance(codes, tuple) else (codes,)
    if len(parts) not in (1, len(shapes)):
        raise UserError(f"{name} has {_counted(len(shapes), 'group')} of latents, got {len(parts)}.")
    vectors = as_array(parts[0], "codes")
    if not (vectors.dtype.kind in "ui" or jnp.issubdtype(vectors.dtype, jnp.floating)):
        raise UserError(f"The codes are of type {vectors.dtype}, expected floats.")
    _check_shape(vectors, name, shapes[0])
    vectors = vectors.astype(np.float32)
    if not np.isfinite(vectors).all():
        raise UserError("The codes have NaN or infinite values, expected finite numbers.")
    return vectors


# ---------- private


def _check_shape(array: np.ndarray, name: str, shape: tuple[int, ...]) -> None:
    if array.ndim == 0 or array.shape[1:] != tuple(shape):
        expected = ", ".join(map(str, ("N", *shape)))
        raise UserError(f"The codes are of shape {list(array.shape)}, those of {name} of [{expected}].")
    if not len(array):
        raise UserError("There are no codes: expected at least one.")


def _check_lengths(grids: Sequence[np.ndarray]) -> None:
    lengths = [len(grid) for grid in grids]
    if len(set(lengths)) > 1:
        raise UserError(f"The grids are of {' and '.join(map(str, lengths))} images: expected as many of each.")


def _counted(num: int, noun: str) -> str:
    return f"{num} {noun}{'s' * (num != 1)}"
