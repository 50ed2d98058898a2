"""Images as a system models them, and what functions give of these, for whole data sets."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxvae.keys import split_each
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, Prepare, PRNGKey, System


def prepared_images(
    system: System, params: Params, model_state: ModelState, dataset: Dataset, key: PRNGKey | None = None
) -> np.ndarray:
    """Return images as they are modelled, [N, H, W, C] in [0, 1]: binarised at random where log p is of such.

    Args:
      system: of images.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them.
      key: of the noise; by default that of evaluations.
    """
    return of_prepared(system, _as_it_is, params, model_state, dataset, key)


def of_prepared(
    system: System,
    function: Callable[..., Array],
    params: Params,
    model_state: ModelState,
    dataset: Dataset,
    key: PRNGKey | None = None,
    *,
    shown: str = "",
) -> np.ndarray:
    """Return what a function gives of images that are prepared as in evaluation, with the same binarisation.

    Args:
      system: of images.
      function: (params, model_state, keys [B], prepared x) -> [B, ...]; the same object again is the same program.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them.
      key: of the noise; by default that of evaluations.
      shown: what a progress bar says; none is shown without.

    Returns:
      [N, ...].
    """
    size = program_batch_size(len(dataset.x), evaluation_batch_size(system.spec))

    def one(start: int, batch: Batch) -> Array:
        keys = evaluation_keys(start, size, key)
        return _of_batch(system.prepare, function, params, model_state, keys, batch.x)

    return np.asarray(in_batches(one, dataset._replace(labels=None), size, shown=shown))


@functools.lru_cache(maxsize=8)
def without_keys(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of parameters, state and x as one that is also given keys; of the same one the same."""
    return lambda params, model_state, keys, x: function(params, model_state, x)


# ---------- private


def _as_it_is(params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
    return x


@functools.partial(jax.jit, static_argnums=(0, 1))
def _of_batch(
    prepare: Prepare,
    function: Callable[..., Array],
    params: Params,
    model_state: ModelState,
    keys: PRNGKey,
    x: Array,
) -> Array:
    noise, draw = split_each(keys)
    return function(params, model_state, draw, prepare(noise, x))
