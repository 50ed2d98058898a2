"""Images to codes and back, whatever the codes are: vectors of every group of latents, or grids."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.capabilities import Codes, Decodes, Encodes, find, require
from jaxvae.data import to_unit
from jaxvae.errors import UserError
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, PRNGKey, System


def encode(
    system: System, params: Params, model_state: ModelState, dataset: Dataset, key: PRNGKey | None = None
) -> tuple[np.ndarray, ...]:
    """Encode images as they are, none binarised: the code of an image is no draw.

    Args:
      system: one that encodes.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them.
      key: of the samples where a posterior's mean has no closed form; by default that of evaluations.

    Returns:
      Grids of codes [N, h, w], the coarsest first; or E_q[z_l | x] of every group of latents, [N, D_l].

    Raises:
      UserError: if the system has no codes.
    """
    codes, spec = find(system, Codes), system.spec
    function = _without_keys(codes.encode) if codes else require(system, Encodes).encode
    size = min(evaluation_batch_size(spec), len(dataset.x))

    def one(start: int, batch: Batch) -> Any:
        return _encode(function, params, model_state, evaluation_keys(start, size, key), batch.x, spec.num_values)

    return in_batches(one, dataset._replace(labels=None), size)


def decode(
    system: System, params: Params, model_state: ModelState, codes: Any, key: PRNGKey | None = None
) -> np.ndarray:
    """Decode what `encode` gives.

    Args:
      system: one that decodes.
      params: its parameters.
      model_state: its state.
      codes: vectors [N, D] of the latent that is decoded, or grids of codes, a tuple where there are several.
      key: of the draws where pixels depend on each other; by default that of evaluations.

    Returns:
      Images [N, H, W, C] in [0, 1].

    Raises:
      UserError: if the system decodes nothing, or has other codes.
    """
    of_grids, parts = find(system, Codes), codes if isinstance(codes, tuple) else (codes,)
    if of_grids is not None:
        function, given = _of_grids(of_grids.decode), parts
        if len(parts) != len(of_grids.num_codes):
            raise UserError(f"{system.name} has {len(of_grids.num_codes)} grids of codes an image, got {len(parts)}.")
    else:
        function, given = require(system, Decodes).decode, parts[:1]  # of several groups the first one is decoded
    arrays = tuple(np.asarray(part) for part in given)
    size = min(evaluation_batch_size(system.spec), len(arrays[0]))

    def one(start: int, batch: Batch) -> Array:
        return _decode(function, params, model_state, evaluation_keys(start, size, key), batch.x)

    x = arrays if of_grids is not None else arrays[0]
    return np.clip(in_batches(one, Dataset(x, None), size), 0, 1)


# ---------- private


@functools.lru_cache(maxsize=8)
def _without_keys(encode_grids: Callable) -> Callable:
    return lambda params, state, keys, x: encode_grids(params, state, x)


@functools.lru_cache(maxsize=8)
def _of_grids(decode_grids: Callable) -> Callable:
    return lambda params, state, keys, codes: decode_grids(params, state, codes)


@functools.partial(jax.jit, static_argnums=(0, 5))
def _encode(
    encode: Callable, params: Params, model_state: ModelState, keys: PRNGKey, x: Array, num_values: int
) -> tuple[Array, ...]:
    return encode(params, model_state, keys, to_unit(jnp.asarray(x), num_values))


@functools.partial(jax.jit, static_argnums=0)
def _decode(decode: Callable, params: Params, model_state: ModelState, keys: PRNGKey, codes: Any) -> Array:
    return decode(params, model_state, keys, codes)
