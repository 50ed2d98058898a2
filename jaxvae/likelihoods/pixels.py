"""What likelihoods share: parameters of the shape of the image, and pixels that are integers from 0 to V - 1."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.types import Array, Likelihood

_DARKEST = 1e-3  # a pixel that is always 0 in the data still gets finite parameters


def like_image(shape: tuple[int, ...]) -> Any:  # jax.ShapeDtypeStruct, also where a NamedTuple declares an array
    """Return the shape of one parameter for each channel of each pixel."""
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def is_value(x: Array, num_values: int) -> Array:
    """Return whether numbers are integers from 0 to num_values - 1, elementwise."""
    return (x == jnp.round(x)) & (x >= 0) & (x <= num_values - 1)


def is_in_unit(x: Array) -> Array:
    """Return whether all pixels of an image are in [0, 1], []: one bit an image, which costs next to nothing."""
    x = x.ravel()
    return jnp.all((x >= 0) & (x <= 1))


def inner_fraction(mean: Array, num_values: int) -> Array:
    """Return mean values 0 to num_values - 1 as parts of the range, kept off its ends, elementwise."""
    return jnp.clip(mean / (num_values - 1), _DARKEST, 1.0 - _DARKEST)


def of_channel(log_pmf: Callable[[Any], Array]) -> Callable[[Any, Array, int], Array]:
    """Return the `channel_log_pmf` of channels that are independent, from their `log_pmf`."""
    return lambda params, values, channel: log_pmf(params)[..., channel, :]


@functools.lru_cache(maxsize=64)  # it traces, and is asked for every bit
def count_values(likelihood: Likelihood, shape: tuple[int, ...]) -> int:
    """Return V, how many values a pixel of an image of a shape takes.

    Args:
      likelihood: one that has a `channel_log_pmf`.
      shape: (H, W, C).
    """
    of_channel: Any = likelihood.channel_log_pmf
    of_x, values = likelihood.param_shapes(shape), jax.ShapeDtypeStruct(shape, jnp.int32)
    return jax.eval_shape(lambda of_x, values: of_channel(of_x, values, 0), of_x, values).shape[-1]


def check_count(likelihood: str, name: str, count: int, least: int) -> None:
    """Raise unless a likelihood has enough of something.

    Args:
      likelihood: its name, for the message.
      name: what is counted.
      count: how many there are.
      least: how many there must be.

    Raises:
      ValueError: if there are fewer.
    """
    if count < least:
        raise ValueError(f"{likelihood} has {name} {count}, expected at least {least}.")
