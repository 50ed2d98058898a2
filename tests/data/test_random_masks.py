"""Random masks: of every kind, each example's its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.data.masks import named_mask
from jaxvae.data.random_masks import random_masks

KEYS = jax.random.split(jax.random.key(0), 2_000)


def test_masks_of_every_kind_are_drawn():
    masks = np.asarray(jax.jit(random_masks, static_argnums=(1, 2))(KEYS, 4, 6))
    assert masks.shape == (2_000, 4, 6)
    assert masks.dtype == bool
    for name in ("left-half", "bottom-half", "top-left", "all-but-top-left", "1,1,4,3"):
        known = ~named_mask(name, 4, 6)
        # A quadrant of one of fourteen subsets in a quarter of the draws; a box of one of 25 * 49 pairs of corners.
        assert (masks == known).all(axis=(1, 2)).mean() > (0.25 / 14 / 3 if "," not in name else 0)
    shares = masks.mean(axis=(1, 2))
    assert 0.4 < shares.mean() < 0.6
    quarters = np.histogram(shares, bins=4, range=(0, 1))[0] / len(shares)
    assert quarters.min() > 0.1


@pytest.mark.slow
def test_the_mask_of_an_example_is_that_of_its_key():
    whole = random_masks(KEYS[:8], 3, 3)
    np.testing.assert_array_equal(whole[jnp.array([5, 2])], random_masks(KEYS[jnp.array([5, 2])], 3, 3))
