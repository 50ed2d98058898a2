"""The coder of a trained system, by what it can do."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxvae import objectives
from jaxvae.applications.compression.bits_back import BitsBack
from jaxvae.applications.compression.coder import ImageCoder
from jaxvae.applications.compression.pixels import IndependentPixels
from jaxvae.capabilities import HasLatentChain, require
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, PRNGKey, System


def image_coder(system: System, params: Params, model_state: ModelState) -> ImageCoder:
    """Return what codes images under a trained system.

    Args:
      system: a VAE of discrete pixels.
      params: its parameters.
      model_state: its state.

    Raises:
      UserError: if it has no probabilities that images can be coded by.
    """
    chain = require(system, HasLatentChain)
    pixels = IndependentPixels(chain.likelihood, system.spec, chain.decode)
    coder = BitsBack(chain, pixels, params, model_state)
    bound = functools.partial(negative_elbo, system, params, model_state, pixels.num_values)
    return ImageCoder("bits back", pixels.num_values, coder.encode, coder.decode, bound)


def negative_elbo(
    system: System, params: Params, model_state: ModelState, num_values: int, values: np.ndarray
) -> np.ndarray:
    """Return the negative ELBO of one sample of every image, [N] nats, of values [N, H, W, C]."""
    terms, size = (
        require(system, HasLatentChain).terms,
        program_batch_size(len(values), evaluation_batch_size(system.spec)),
    )

    def one(start: int, batch: Batch) -> Array:
        x = batch.x.astype(np.float32) / np.float32(num_values - 1)
        return _negative_elbo(terms, params, model_state, evaluation_keys(start, size), x)

    return np.asarray(in_batches(one, Dataset(values, None), size, shown="ELBO"), np.float64)


# ---------- private


@functools.partial(jax.jit, static_argnums=0)
def _negative_elbo(
    terms: Callable[..., Any], params: Params, model_state: ModelState, keys: PRNGKey, x: Array
) -> Array:
    return -objectives.elbo(terms(params, model_state, keys, x))
