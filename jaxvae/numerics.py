"""Numerical routines: argmax at the speed of a CPU's vectors, and bisection."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxvae.types import Array

BLOCKS = 32
LEAST = 2 * BLOCKS  # values below which there is nothing to gain
_BISECTIONS = 40


def argmax(values: Array) -> Array:
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


def bisect(rising: Callable[[Array], Array], target: Array, radius: Array) -> Array:
    """Return the number at which a rising function reaches a target, [].

    Args:
      rising: [] -> [].
      target: [].
      radius: how far from the target the number can be, []. The last interval is 2^-40 of it, below the rounding of
        float32; there is no gradient.
    """

    def halve(_: int, interval: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = interval
        middle = 0.5 * (low + high)
        below = rising(middle) < target
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, (target - radius, target + radius))
    return 0.5 * (low + high)
