"""Dropout whose noise belongs to an example, as all noise here: `nn.Dropout` draws one mask for the whole batch.

References:
  Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.
"""

import jax
import jax.numpy as jnp

from jaxvae.types import Array, PRNGKey


def dropout(keys: PRNGKey, h: Array, rate: float | Array) -> Array:
    """Set entries to zero with probability `rate` and scale the others up, so that the expectation stays.

    Args:
      keys: one key an example, [B].
      h: activations, [B, ...].
      rate: 0 to below 1; an array may be traced, so that a sweep can vary it.

    Returns:
      Activations of the same shape and type.

    Raises:
      ValueError: if a rate that is known while tracing is not possible, or the keys are not one an example.
    """
    if not isinstance(rate, jax.core.Tracer) and not 0 <= rate < 1:
        raise ValueError(f"rate is {rate}, expected 0 to below 1.")
    if keys.shape != h.shape[:1]:
        raise ValueError(f"keys have shape {list(keys.shape)}, expected one an example, [{h.shape[0]}].")
    probability = 1.0 - jnp.asarray(rate, jnp.float32)  # of a number too: 0.9 in bfloat16 would be 0.2 % off
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, probability, h.shape[1:]))(keys)
    return jnp.where(kept, h / probability, 0.0).astype(h.dtype)
