"""Reconstruct images with a trained system, and return their latents too."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from jaxvae.applications.given_classes import with_classes
from jaxvae.capabilities import Decodes, Encodes, require
from jaxvae.keys import split_each
from jaxvae.labelled import same_labels, values_of
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches
from jaxvae.types import Batch, Dataset, ModelState, Params, PRNGKey, System


class Reconstructed(NamedTuple):
    """A preprocessed data set with its latents and reconstructions, in its order."""

    x: np.ndarray  # [N, H, W, C], binarised or scaled
    means: tuple[np.ndarray, ...]  # E_q[z_l | x], [N, D_l]
    means_again: tuple[np.ndarray, ...]  # the same; with other noise where they are averages over samples
    reconstructions: np.ndarray  # E[x | E_q[z_1 | x]], [N, H, W, C]


def reconstruct(
    system: System, params: Params, model_state: ModelState, dataset: Dataset, key: PRNGKey | None = None
) -> Reconstructed:
    """Encode images and decode their posterior means.

    Args:
      system: one that encodes and decodes vectors.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them, prepared as in training, and their labels where the model is
        conditional on these.
      key: of the noise; by default that of evaluations, so that images are binarised as in these.

    Returns:
      All of them, as numpy arrays.

    Raises:
      UserError: if the system does not encode and decode vectors, or labels that it needs are missing.
    """
    functions = system.prepare, require(system, Encodes).encode, require(system, Decodes).decode
    size = min(evaluation_batch_size(system.spec), len(dataset.x))

    def one(start: int, batch: Batch) -> Reconstructed:
        return _reconstruct(*functions, params, model_state, evaluation_keys(start, size, key), batch.x)

    return in_batches(one, with_classes(system, dataset), size)


# ---------- private


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _reconstruct(
    prepare: Callable,
    encode: Callable,
    decode: Callable,
    params: Params,
    state: ModelState,
    keys: PRNGKey,
    x: jax.Array,
) -> Reconstructed:
    noise, draw = split_each(keys)  # the same binarisation as in evaluations and likelihood estimates
    prepared = prepare(noise, x)
    *twice, pixels = split_each(draw, 3)
    means, again = (encode(params, state, keys, prepared) for keys in twice)
    reconstructions = decode(params, state, pixels, same_labels(prepared, means[0]))
    return Reconstructed(values_of(prepared), means, again, reconstructions)
