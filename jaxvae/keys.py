"""Random keys of examples: noise belongs to an example, never to a batch or a device."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.errors import UserError
from jaxvae.types import PRNGKey


def example_keys(key: PRNGKey, indices: jax.Array) -> PRNGKey:
    """Return one key per example, key [] and indices [B] -> [B]."""
    return jax.vmap(lambda index: jax.random.fold_in(key, index))(indices)


def split_each(keys: PRNGKey, num: int = 2) -> tuple[PRNGKey, ...]:
    """Return `num` keys for every key, [B] -> [B], [B], ....

    Raises:
      UserError: if there is one key alone.
    """
    check_keys(keys)
    parts = jax.vmap(lambda key: jax.random.split(key, num))(keys)
    return tuple(parts[:, i] for i in range(num))


def check_keys(keys: Any, num: int | None = None) -> None:
    """Raise unless there is one key for every example.

    Args:
      keys: [B].
      num: B; None stands for any number.

    Raises:
      UserError: if there is another number of them, one alone, or something else than keys.
    """
    dtype = getattr(keys, "dtype", None)
    if dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
        shape: tuple[int, ...] | None = keys.shape
    else:
        shape = keys.shape[:-1] if dtype == jnp.uint32 else None  # the older keys have an axis of words
    if shape is None or len(shape) != 1 or (num is not None and shape[0] != num):
        found = type(keys).__name__ if dtype is None else f"{dtype}{list(keys.shape)}"
        found = "one key" if shape == () else found
        raise UserError(
            f"Noise takes a key for every example, [{num or 'B'}], got {found}: make them by "
            f"jax.random.split(key, {num or 'number of examples'})."
        )
