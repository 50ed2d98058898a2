"""A hash of data, by which a training that is resumed knows its own again."""

import hashlib
from typing import Any

import jax
import numpy as np

from jaxvae.types import Dataset, Splits

MOST_BYTES = 2**26  # hashed of one array, 50 ms: of larger ones, rows at even distances
DIGITS = 2  # to which means of computed floats are compared: the rounding of other devices leaves these as they are


def splits_digest(splits: Splits, rows: np.ndarray | None = None, valid_rows: np.ndarray | None = None) -> str:
    """Return a hash of what a training sees of its data: the training and the validation set, with their labels.

    Args:
      splits: the data.
      rows: of the training examples that it learns from, all if None.
      valid_rows: of the validation examples that it is evaluated on, all if None.
    """
    parts = dataset_digest(splits.train, rows), dataset_digest(splits.valid, valid_rows)
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]


def dataset_digest(dataset: Dataset, rows: np.ndarray | None = None) -> str:
    """Return a hash of examples and labels; of much data a part of the examples, evenly spread, stands for all.

    Args:
      dataset: N examples, any pytree of arrays [N, ...], which may be memory maps. What is no single array, as q(z | x)
        of images, was computed and differs by rounding from device to device: its means stand for it.
      rows: of the examples that are meant, all if None.

    Returns:
      16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(dataset.x):
        array = np.asarray(leaf)
        computed = array is not dataset.x and leaf is not dataset.x and np.issubdtype(array.dtype, np.floating)
        digest.update(_means(array, rows) if computed else _bytes_of(array, rows))
    if dataset.labels is not None:
        digest.update(_bytes_of(np.asarray(dataset.labels), rows))
    return digest.hexdigest()[:16]


# ---------- private


def _bytes_of(array: np.ndarray, rows: np.ndarray | None) -> bytes:
    """Shape, type and values; of many, those of rows at even distances."""
    num = len(array) if rows is None else len(rows)
    head = f"{[num, *array.shape[1:]]} {array.dtype}".encode()
    size = array.dtype.itemsize * int(np.prod(array.shape[1:], dtype=np.int64))
    most = max(1, MOST_BYTES // max(1, size))
    if num > most:
        chosen = np.linspace(0, num - 1, most).astype(np.int64)
        rows = chosen if rows is None else np.asarray(rows)[chosen]
    return head + np.ascontiguousarray(array if rows is None else array[rows]).tobytes()


def _means(array: np.ndarray, rows: np.ndarray | None) -> bytes:
    chosen = array if rows is None else array[rows]
    means: Any = np.round(chosen.mean(axis=0, dtype=np.float64), DIGITS) + 0.0  # no -0.0
    return f"{chosen.shape} {array.dtype} {means.tolist()}".encode()
