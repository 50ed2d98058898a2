"""Inverses of rising functions that have none in closed form."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxvae.types import Array

_BISECTIONS = 40


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
