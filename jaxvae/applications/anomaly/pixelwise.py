"""Log-probabilities and squared errors of every pixel, and what a perfect reconstruction would have."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.applications.encoding import decode, encode
from jaxvae.applications.likelihood import BATCH, PIXELS
from jaxvae.capabilities import ScoresPixels, require
from jaxvae.data import to_unit
from jaxvae.keys import split_each
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, Prepare, PRNGKey, System


def pixel_scores(
    system: System,
    params: Params,
    model_state: ModelState,
    dataset: Dataset,
    num_samples: int,
    key: PRNGKey | None = None,
) -> np.ndarray:
    """Return -log p of every pixel, [N, H, W] float32, nats.

    Of a VAE it is the mean over latents of q(z | x), those of `estimate_likelihood` by the same key and number, whose
    reconstruction term is its sum over the pixels. Of an autoregressive model the pixels before each are given, and the
    sum is -log p(x).

    Args:
      system: one that scores pixels.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them; they are prepared as in evaluation.
      num_samples: latents for every image, of a VAE.
      key: of the noise; by default that of evaluations.

    Raises:
      UserError: if the system does not score pixels.
    """
    log_px = require(system, ScoresPixels).log_px
    size = program_batch_size(len(dataset.x), max(1, min(BATCH, PIXELS // math.prod(system.spec.shape))))

    def one(start: int, batch: Batch) -> Array:
        keys = evaluation_keys(start, size, key)
        return _of_pixels(system.prepare, log_px, num_samples, params, model_state, keys, batch.x)

    return np.asarray(in_batches(one, dataset._replace(labels=None), size, shown="scores of pixels"))


def perfect_scores(system: System, dataset: Dataset, key: PRNGKey | None = None) -> np.ndarray:
    """Return what `pixel_scores` would be of a perfect reconstruction, [N, H, W] float32, nats.

    Zeros where it is the same for all values of a pixel.

    Args:
      system: one that scores pixels.
      dataset: N images as the data set has them; they are prepared as in evaluation.
      key: as of `pixel_scores`.

    Raises:
      UserError: if the system does not score pixels.
    """
    perfect = require(system, ScoresPixels).perfect
    size = program_batch_size(len(dataset.x), evaluation_batch_size(system.spec))

    def one(start: int, batch: Batch) -> Array:
        return _of_perfect(system.prepare, perfect, evaluation_keys(start, size, key), batch.x)

    return np.asarray(in_batches(one, dataset._replace(labels=None), size))


def pixel_errors(
    system: System, params: Params, model_state: ModelState, dataset: Dataset, key: PRNGKey | None = None
) -> np.ndarray:
    """Return the squared errors of reconstructions, of all channels of a pixel together, [N, H, W] float32.

    Args:
      system: one that encodes and decodes.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them, which are not binarised.
      key: of the noise where a posterior's mean has no closed form; by default that of evaluations.

    Raises:
      UserError: if the system has no codes of images that it decodes.
    """
    codes = encode(system, params, model_state, dataset, key)
    images = decode(system, params, model_state, codes if len(codes) > 1 else codes[0], key)
    x = np.asarray(to_unit(jnp.asarray(dataset.x), system.spec.num_values))
    return np.sum(np.square(images - x), axis=-1)


# ---------- private


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _of_pixels(
    prepare: Prepare,
    log_px: Callable[..., Array],
    num_samples: int,
    params: Params,
    model_state: ModelState,
    keys: PRNGKey,
    x: Array,
) -> Array:
    noise, draw = split_each(keys)  # those of the estimate of the likelihood
    prepared = prepare(noise, x)

    def add(total: Array, index: Array) -> tuple[Array, None]:
        of_sample = jax.vmap(lambda key: jax.random.fold_in(key, index))(draw)
        return total + log_px(params, model_state, of_sample, prepared), None

    total, _ = jax.lax.scan(add, jnp.zeros(prepared.shape[:3]), jnp.arange(num_samples))
    return -total / num_samples


@functools.partial(jax.jit, static_argnums=(0, 1))
def _of_perfect(prepare: Prepare, perfect: Callable[[Array], Array], keys: PRNGKey, x: Array) -> Array:
    noise, _ = split_each(keys)
    return -perfect(prepare(noise, x))
