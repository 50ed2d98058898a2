"""Classify images with a trained classifier."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from jaxvae.capabilities import Classifies, require
from jaxvae.keys import split_each
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, Prepare, PRNGKey, System


def classify(
    system: System, params: Params, model_state: ModelState, dataset: Dataset, key: PRNGKey | None = None
) -> np.ndarray:
    """Return the class probabilities of every image.

    Args:
      system: one that classifies.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them; they are prepared as in evaluation.
      key: of the noise; by default that of evaluations.

    Returns:
      q(class | x), [N, K].

    Raises:
      UserError: if the system does not classify.
    """
    function = require(system, Classifies).classify
    size = program_batch_size(len(dataset.x), evaluation_batch_size(system.spec))

    def one(start: int, batch: Batch) -> Array:
        keys = evaluation_keys(start, size, key)
        return _classify(system.prepare, function, params, model_state, keys, batch.x)

    return np.exp(in_batches(one, dataset._replace(labels=None), size, shown="classes"))


# ---------- private


@functools.partial(jax.jit, static_argnums=(0, 1))
def _classify(
    prepare: Prepare, classify: Callable, params: Params, model_state: ModelState, keys: PRNGKey, x: Array
) -> Array:
    noise, draw = split_each(keys)
    return classify(params, model_state, draw, prepare(noise, x))
