"""The place of the largest of many values, at the speed of a CPU's vectors."""

import jax.numpy as jnp
from jax import lax

from jaxvae.types import Array

BLOCKS = 32
LEAST = 2 * BLOCKS  # values below which there is nothing to gain


def first_maximum(values: Array) -> Array:
    """Return the first index of the largest value along the last axis.

    XLA:CPU's argmax, and any reduction of the last axis, goes from value to value. Here blocks of the axis are compared
    with one another value by value, which vectorises, and only the last part of 32 is reduced: twice as fast for 512
    values and more.

    Args:
      values: [..., K].

    Returns:
      [...] int32, 0 where a value is NaN.
    """
    num = values.shape[-1]
    blocks = BLOCKS if num % BLOCKS == 0 and num >= LEAST else 1
    width = num // blocks
    best, block = values[..., :width], jnp.zeros((*values.shape[:-1], width), jnp.int32)
    for i in range(1, blocks):
        other = values[..., i * width : (i + 1) * width]
        block = jnp.where(other > best, i, block)
        best = jnp.maximum(best, other)
    largest = jnp.max(best, axis=-1, keepdims=True)
    index = block * width + lax.broadcasted_iota(jnp.int32, block.shape, block.ndim - 1)
    first = jnp.min(jnp.where(best >= largest, index, num), axis=-1)
    return jnp.where(first < num, first, 0)
