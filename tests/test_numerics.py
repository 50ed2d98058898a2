"""The place of the largest value is numpy's, ties and NaNs included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.distributions import categorical_sample
from jaxvae.numerics import argmax


@pytest.mark.parametrize("num", [1, 5, 64, 72, 512])  # whole, in blocks, not divisible
@pytest.mark.parametrize("levels", [3, 10**6])  # nearly all ties, hardly any
def test_first_maximum_is_numpys(num, levels):
    values = np.random.default_rng(num).integers(0, levels, (7, 3, num)).astype(np.float32)
    values[0, 0] = -np.inf
    found = jax.jit(argmax)(values)
    assert found.dtype == jnp.int32
    np.testing.assert_array_equal(found, values.argmax(-1))


@pytest.mark.parametrize("place", [0, 3, 63])
def test_a_value_that_is_no_number_gives_the_first_index(place):
    values = np.arange(64, dtype=np.float32)
    values[place] = np.nan
    assert argmax(jnp.asarray(values)) == 0


@pytest.mark.parametrize("shape", [(3,), (40, 128)])
def test_categorical_sample_is_that_of_jax(shape):
    logits = jax.random.normal(jax.random.key(0), shape)
    keys = jax.random.split(jax.random.key(1), 20)
    draw = jax.jit(jax.vmap(categorical_sample, (0, None)))
    np.testing.assert_array_equal(draw(keys, logits), jax.vmap(jax.random.categorical, (0, None))(keys, logits))
