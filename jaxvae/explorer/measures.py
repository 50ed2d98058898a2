"""What a model makes of some images, with the parameters as they are and rounded as in the page."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.data import to_unit
from jaxvae.distributions import normal_kl_to_standard, normal_log_prob, normal_sample
from jaxvae.explorer.parts import Functions
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches
from jaxvae.types import Array, Batch, Dataset, GaussianParams, Params, PRNGKey, System

SAMPLES = 16  # of q(z | x), for the bound of each of many images


class Measured(NamedTuple):
    """What a model makes of N images."""

    x: Any  # prepared, [N, H, W, C]
    stats: Any  # `GaussianParams` of q(z | x), [N, D] each
    reconstructions: Any  # E[x | z] of the posterior means, [N, H, W, C]
    elbo: Any  # [N], nats


def levels_of(system: System) -> int:
    """Return how many values a pixel has once it is prepared: 2 where images are binarised."""
    if system.spec.num_values == 2:
        return 2
    grey = jnp.full((8, *system.spec.shape), 0.5)
    drawn = system.prepare(evaluation_keys(0, len(grey)), grey)
    return 2 if np.isin(drawn, (0, 1)).all() else system.spec.num_values


def to_levels(x: Array, num_values: int, levels: int) -> Array:
    """Return images in [0, 1] with pixels rounded to levels, as the page prepares them: nothing is drawn at random."""
    # Halves go up, as in JavaScript.
    return jnp.floor(to_unit(x, num_values) * (levels - 1) + 0.5) / (levels - 1)


def measure(functions: Functions, system: System, params: Params, images: np.ndarray, levels: int) -> Measured:
    """Encode, decode and score images.

    Args:
      functions: of the system.
      system: a VAE.
      params: its parameters.
      images: [N, H, W, C] as the data set has them.
      levels: values of a prepared pixel.

    Returns:
      What the model makes of them; the noise of the scores is the same at every call.
    """
    size = min(evaluation_batch_size(system.spec), len(images))

    def one(start: int, batch: Batch) -> Measured:
        x = to_levels(batch.x, system.spec.num_values, levels)
        return _measured(functions, params, evaluation_keys(start, size), x)

    return in_batches(one, Dataset(images, None), size, shown="images of the map")


# ---------- private


@functools.partial(jax.jit, static_argnums=0)
def _measured(functions: Functions, params: Params, keys: PRNGKey, x: Array) -> Measured:
    return jax.vmap(functools.partial(_of_one, functions, params))(keys, x)


def _of_one(functions: Functions, params: Params, key: PRNGKey, x: Array) -> Measured:
    q = functions.encode(params, x)
    elbo = jnp.mean(jax.vmap(lambda key: _bound(functions, params, q, x, key))(jax.random.split(key, SAMPLES)))
    return Measured(x, q, functions.mean(functions.decode(params, q.mean)), elbo)


def _bound(functions: Functions, params: Params, q: GaussianParams, x: Array, key: PRNGKey) -> Array:
    z = normal_sample(key, q)
    log_px = functions.log_px(functions.decode(params, z), x)
    if functions.has_standard_prior():
        return log_px - jnp.sum(normal_kl_to_standard(q))
    return log_px + functions.log_pz(params, z) - normal_log_prob(q, z)
