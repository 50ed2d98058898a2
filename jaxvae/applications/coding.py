"""Grids of discrete codes of images: in memory, and on disk as the training data of a second stage."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.capabilities import Codes, require
from jaxvae.data import encode_dataset, load_codes
from jaxvae.keys import split_each
from jaxvae.progress import progress_bar
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, Prepare, PRNGKey, Splits, System


class Coded(NamedTuple):
    """A data set with its grids of codes and their reconstructions, in its order."""

    x: np.ndarray  # [N, H, W, C], as the system sees it, binarised or scaled
    codes: tuple[np.ndarray, ...]  # grids [N, h, w] or [N, h, w, G], the coarsest first
    reconstructions: np.ndarray  # E[x | codes], [N, H, W, C]


def encode_as_codes(system: System, params: Params, model_state: ModelState, dataset: Dataset) -> Coded:
    """Encode images as grids of codes and decode these.

    Args:
      system: one that has grids of codes for images.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them; they are prepared as in evaluation, binarised at random where the
        system is of binary images.

    Returns:
      All of them, as numpy arrays.

    Raises:
      UserError: if the system has no grids of codes.
    """
    codes, size = require(system, Codes), min(evaluation_batch_size(system.spec), len(dataset.x))

    def one(start: int, batch: Batch) -> Any:
        return _coded(system.prepare, codes, params, model_state, evaluation_keys(start, size), batch.x)

    return Coded(*in_batches(one, dataset, size))


def write_codes(
    system: System,
    params: Params,
    model_state: ModelState,
    splits: Splits,
    folder: Path,
    *,
    fingerprint: str,
    show_progress: bool = True,
) -> None:
    """Write the codes of all parts of a data set, or what is missing of them, in `folder / "train"` and so on.

    Args:
      system: one that has grids of codes for images.
      params: its parameters.
      model_state: its state.
      splits: images as the data set has them; they are prepared as in `encode_as_codes`.
      folder: of the three parts' folders.
      fingerprint: of the system's parameters: codes of other ones mean other images.
      show_progress: whether to show bars.

    Raises:
      UserError: if the system has no grids of codes, the folder has the codes of other images or of another system, or
        cannot be written.
    """
    codes = require(system, Codes)

    def write(name: str, dataset: Dataset) -> None:
        size = min(evaluation_batch_size(system.spec), len(dataset.x))
        encode = functools.partial(_grids, system.prepare, codes.encode, params, model_state)
        x = jax.ShapeDtypeStruct((size, *system.spec.shape), dataset.x.dtype)
        shapes = tuple(grid.shape[1:] for grid in jax.eval_shape(encode, evaluation_keys(0, size), x))
        with progress_bar(total=len(dataset.x), unit="image", desc=f"codes of {name}", show=show_progress) as bar:
            encode_dataset(
                folder / name,
                dataset,
                lambda start, batch: encode(evaluation_keys(start, size), batch.x),
                shapes=shapes,
                num_codes=codes.num_codes,
                codec=fingerprint,
                batch_size=size,
                progress=bar.update,
            )

    for name, part in splits._asdict().items():
        write(name, part)


def read_codes(folder: Path) -> Splits:
    """Return what `write_codes` wrote: codes [N, L] of all parts, memory-mapped.

    Raises:
      UserError: if there are none, they are unfinished or cut short.
    """
    return Splits(*(load_codes(folder / name).dataset for name in Splits._fields))


def count_codes(grid: np.ndarray, num_codes: int) -> np.ndarray:
    """Count codes: grids [N, h, w] -> [K], or [N, h, w, G] -> [G, K]."""
    if grid.ndim == 3:
        return np.bincount(grid.ravel(), minlength=num_codes).astype(np.float32)
    return np.stack([count_codes(grid[..., group], num_codes) for group in range(grid.shape[-1])])


# ---------- private


@functools.partial(jax.jit, static_argnums=(0, 1))
def _grids(
    prepare: Prepare, encode: Callable, params: Params, model_state: ModelState, keys: PRNGKey, x: Array
) -> tuple[Array, ...]:
    return encode(params, model_state, _prepared(prepare, keys, x))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _coded(
    prepare: Prepare, codes: Codes, params: Params, model_state: ModelState, keys: PRNGKey, x: Array
) -> tuple[Array, tuple[Array, ...], Array]:
    prepared = _prepared(prepare, keys, x)
    grids = codes.encode(params, model_state, prepared)
    return prepared, grids, codes.decode(params, model_state, grids)


def _prepared(prepare: Prepare, keys: PRNGKey, x: Array) -> Array:
    """Images as `evaluate` of a VQ-VAE prepares them, with the same noise."""
    noise, _ = split_each(keys)
    return prepare(noise, x)
