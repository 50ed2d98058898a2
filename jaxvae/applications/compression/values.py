"""Values of pixels as bits, the highest first, each given those before it: any probabilities become those of bits."""

import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np

from jaxvae.types import Array


def num_bits(num_values: int) -> int:
    """Return how many bits a value has, 8 of 256 values."""
    return max(1, math.ceil(math.log2(num_values)))


def to_bits(values: np.ndarray, num_values: int) -> np.ndarray:
    """Return the bits of values, the highest first, int32 [R, ...]."""
    places = np.arange(num_bits(num_values))[::-1].reshape(-1, *[1] * values.ndim)
    return (values[None].astype(np.int32) >> places.astype(np.int32)) & 1


def bit_logits(log_pmf: Array) -> tuple[Array, ...]:
    """Return the logits of every bit given those before it.

    Args:
      log_pmf: log-probabilities of the values, [..., V].

    Returns:
      For bit r an array [..., 2^r]: log p(1 | prefix) - log p(0 | prefix) of every number that the bits before can be.
      What no value begins with has 0.
    """
    depth = num_bits(log_pmf.shape[-1])
    missing = 2**depth - log_pmf.shape[-1]
    log_p = jnp.pad(log_pmf, [(0, 0)] * (log_pmf.ndim - 1) + [(0, missing)], constant_values=-jnp.inf)
    found = []
    for _ in range(depth):
        zero, one = log_p[..., 0::2], log_p[..., 1::2]
        never = jnp.isneginf(zero) & jnp.isneginf(one)
        found.append(jnp.where(never, 0.0, one - jnp.where(never, 0.0, zero)))
        log_p = jnp.logaddexp(zero, one)
    return tuple(found[::-1])


def mass_logits(log_mass: Callable[[Array, Array], Array], prefix: Array, bit: int | Array, num_values: int) -> Array:
    """Return the logits of a bit where those before it are a number, without those of all other numbers.

    Args:
      log_mass: (low, high) -> log p(low <= value <= high), elementwise.
      prefix: the number, [...] int32.
      bit: which, 0 the highest; may be traced.
      num_values: V.
    """
    width = jnp.left_shift(1, num_bits(num_values) - 1 - bit)
    low, most = 2 * width * prefix, num_values - 1
    middle = low + width
    zero = log_mass(jnp.minimum(low, most), jnp.minimum(middle - 1, most))
    one = log_mass(jnp.minimum(middle, most), jnp.minimum(middle + width - 1, most))
    return jnp.where(low > most, 0.0, jnp.where(middle > most, -jnp.inf, one - zero))


def along(logits: Sequence[np.ndarray], values: np.ndarray) -> np.ndarray:
    """Return the logits of the bits of given values.

    Args:
      logits: of `bit_logits`, for bit r [..., 2^r].
      values: [...].

    Returns:
      [R, ...], float32.
    """
    depth = len(logits)
    return np.stack([at(of_bit, values.astype(np.int64) >> (depth - r)) for r, of_bit in enumerate(logits)])


def at(logits: np.ndarray, prefix: np.ndarray) -> np.ndarray:
    """Return the logits of one bit where those before it are a number, [..., 2^r] and [...] -> [...]."""
    return np.take_along_axis(logits, prefix[..., None], axis=-1)[..., 0]
