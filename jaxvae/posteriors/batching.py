"""One latent's sampler and log-density over the samples and examples of a batch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.types import Array, PRNGKey


def draw_each(sample: Callable[[PRNGKey, Any], Any], keys: PRNGKey, stats: Any, num_samples: int) -> Any:
    """Return samples of every example, whose noise depends neither on the rest of the batch nor on their number.

    Args:
      sample: (key, statistics of one example) -> one draw, any pytree.
      keys: [B]; sample s of example b uses fold_in(keys[b], s).
      stats: a pytree of arrays [B, ...].
      num_samples: S.

    Returns:
      The draws, [S, B, ...].
    """

    def one(key: PRNGKey, stats: Any, index: Array) -> Any:
        return sample(jax.random.fold_in(key, index), stats)

    over_examples = jax.vmap(one, in_axes=(0, 0, None))
    return jax.vmap(over_examples, in_axes=(None, None, 0))(keys, stats, jnp.arange(num_samples))


def score_each(log_prob: Callable[[Any, Array], Array], stats: Any, z: Array) -> Array:
    """Return the log-densities of given latents.

    Args:
      log_prob: (statistics of one example, one latent) -> [], nats.
      stats: a pytree of arrays [B, D] or, where every sample has its own, [S, B, D].
      z: [S, B, D].

    Returns:
      [S, B], nats.
    """
    in_axes = (0 if jax.tree.leaves(stats)[0].ndim == z.ndim else None, 0)
    return jax.vmap(jax.vmap(log_prob), in_axes=in_axes)(stats, z)
