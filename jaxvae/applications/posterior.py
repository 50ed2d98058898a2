"""Means and standard deviations of q(z | x)."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.applications.features import latents_of
from jaxvae.applications.given_classes import with_classes
from jaxvae.capabilities import DrawsPosterior, Infers, find, require
from jaxvae.data import to_unit
from jaxvae.labelled import same_labels, values_of
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, PRNGKey, System

DRAWS = 100  # of q(z | x), where its moments have no closed form


class Moments(NamedTuple):
    """Mean and standard deviation of every latent of N images, an entry for every group of latents."""

    mean: tuple[Any, ...]  # [N, D_l]
    std: tuple[Any, ...]  # [N, D_l]


def posterior(
    system: System, params: Params, model_state: ModelState, dataset: Dataset, key: PRNGKey | None = None
) -> Moments:
    """Return the moments of q(z | x) of images, which are not binarised.

    Args:
      system: a VAE.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them, and their labels where the model is conditional on these.
      key: of the draws where the moments have no closed form; by default that of evaluations.

    Returns:
      Exact moments of a Gaussian posterior, those of 100 draws of another.

    Raises:
      UserError: if the system has no q(z | x).
    """
    if find(system, Infers) is not None:
        q = latents_of(system, params, model_state, dataset)
        return Moments((np.asarray(q.mean),), (np.exp(0.5 * np.asarray(q.log_var)),))
    draw, spec = require(system, DrawsPosterior).draw, system.spec
    size = program_batch_size(len(dataset.x), evaluation_batch_size(spec))

    def one(start: int, batch: Batch) -> Moments:
        keys = evaluation_keys(start, size, key)
        return _moments(draw, params, model_state, keys, batch.x, spec.num_values)

    return in_batches(one, with_classes(system, dataset), size, shown="posteriors")


# ---------- private


@functools.partial(jax.jit, static_argnums=(0, 5))
def _moments(
    draw: Callable[..., tuple[Array, ...]],
    params: Params,
    model_state: ModelState,
    keys: PRNGKey,
    x: Array,
    num_values: int,
) -> Moments:
    x = same_labels(x, to_unit(jnp.asarray(values_of(x)), num_values))

    def one(index: Array) -> tuple[Array, ...]:
        return draw(params, model_state, jax.vmap(lambda key: jax.random.fold_in(key, index))(keys), x)

    # One draw of all images at a time: the maps of a hundred of each would fill the memory.
    drawn = jax.lax.map(one, jnp.arange(DRAWS))
    mean = tuple(jnp.mean(group, axis=0) for group in drawn)
    return Moments(mean, tuple(jnp.std(group, axis=0, ddof=1) for group in drawn))
