"""Keys of examples: one for each, of either kind that JAX has, and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.errors import UserError
from jaxvae.keys import check_keys, example_keys, split_each

KEYS = jax.random.split(jax.random.key(0), 3)


def test_keys_of_both_kinds_are_counted():
    for keys in (KEYS, jax.random.split(jax.random.PRNGKey(0), 3), example_keys(jax.random.key(1), jnp.arange(3))):
        check_keys(keys)
        check_keys(keys, 3)
        with pytest.raises(UserError, match=r"a key for every example, \[4\], got (key|uint32).*: make them by"):
            check_keys(keys, 4)


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (jax.random.key(0), "one key"),
        (jax.random.PRNGKey(0), "one key"),
        (KEYS.reshape(3, 1), r"key<fry>\[3, 1\]"),
        (jnp.zeros(3), r"float32\[3\]"),
        (np.arange(3), r"int64\[3\]"),
        (0, "int"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_key_for_every_example_is_named(keys, found):
    with pytest.raises(UserError, match=rf"Noise takes a key for every example, \[B\], got {found}: make them by"):
        check_keys(keys)
    with pytest.raises(UserError, match="Noise takes a key for every example"):
        split_each(keys)


def test_keys_may_be_traced():
    jax.jit(lambda keys: check_keys(keys, 3))(KEYS)
    with pytest.raises(UserError, match="got one key"):
        jax.jit(check_keys)(KEYS[0])
