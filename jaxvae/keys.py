"""Random keys of examples: noise belongs to an example, never to a batch or a device."""

import jax

from jaxvae.types import PRNGKey


def example_keys(key: PRNGKey, indices: jax.Array) -> PRNGKey:
    """Return one key per example, key [] and indices [B] -> [B]."""
    return jax.vmap(lambda index: jax.random.fold_in(key, index))(indices)


def split_each(keys: PRNGKey, num: int = 2) -> tuple[PRNGKey, ...]:
    """Return `num` keys for every key, [B] -> [B], [B], ...."""
    parts = jax.vmap(lambda key: jax.random.split(key, num))(keys)
    return tuple(parts[:, i] for i in range(num))
