"""Features of images from a trained system, for classifiers and clustering."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.applications.given_classes import with_classes
from jaxvae.capabilities import Codes, Encodes, Infers, require, require_any
from jaxvae.data import to_unit
from jaxvae.labelled import same_labels, values_of
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, GaussianParams, ModelState, Params, PRNGKey, Splits, System


def features_of(system: System, params: Params, model_state: ModelState, splits: Splits) -> Splits:
    """Return features of images: codes, posterior means of all groups of latents, or embedded vectors of code grids.

    They are of the images as they are, also where a model was trained on images binarised at random: the features of an
    image are no draw.

    Args:
      system: one that encodes.
      params: its parameters.
      model_state: its state.
      splits: images as the data set has them.

    Returns:
      Features [N, F] and the labels.

    Raises:
      UserError: if the system has no codes.
    """
    return Splits(*(Dataset(features(system, params, model_state, part), part.labels) for part in splits))


def features(system: System, params: Params, model_state: ModelState, dataset: Dataset) -> Any:
    """Return features of images, [N, F]: see `features_of`.

    Args:
      system: one that encodes.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them, and their labels where the model is conditional on these.

    Raises:
      UserError: if the system has no codes.
    """
    coder = require_any(system, (Codes, Encodes), "codes of images")
    return _of_images(system, params, model_state, functools.partial(_features, coder), dataset)


def latents_of(system: System, params: Params, model_state: ModelState, dataset: Dataset) -> GaussianParams:
    """Return the Gaussian posterior q(z | x) of images, which are not binarised.

    Args:
      system: a VAE with a Gaussian posterior.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them, and their labels where the model is conditional on these.

    Returns:
      Means and logarithms of variances, [N, D].

    Raises:
      UserError: if it is another system.
    """
    posterior = require(system, Infers).posterior
    function = lambda params, state, _, x: posterior_of(posterior, params, state, x)  # noqa: E731
    return _of_images(system, params, model_state, function, dataset)


@functools.partial(jax.jit, static_argnums=0)  # once for all members of a sweep
def posterior_of(posterior: Callable, params: Params, state: ModelState, x: Array) -> GaussianParams:
    """Return q(z | x) of a batch of prepared images, jitted.

    Args:
      posterior: of `capabilities.Infers`.
      params: parameters.
      state: model state.
      x: prepared images, [B, ...].
    """
    return posterior(params, state, x)


# ---------- private


def _of_images(
    system: System, params: Params, model_state: ModelState, function: Callable[..., Any], dataset: Dataset
) -> Any:
    """function(params, model_state, keys, images in [0, 1]) of a whole data set."""
    spec = system.spec
    num = program_batch_size(len(dataset.x), evaluation_batch_size(spec))

    def one(start: int, batch: Batch) -> Any:
        x = to_unit(jnp.asarray(values_of(batch.x)), spec.num_values)
        return function(params, model_state, evaluation_keys(start, num), same_labels(batch.x, x))

    return in_batches(one, with_classes(system, dataset), num, shown="encoding")


@functools.partial(jax.jit, static_argnums=0)
def _features(coder: Codes | Encodes, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
    if isinstance(coder, Codes):
        parts = coder.vectors(params, model_state, coder.encode(params, model_state, x))
    else:
        parts = coder.encode(params, model_state, keys, x)
    return jnp.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
