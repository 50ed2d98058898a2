"""Masks of every kind, drawn at random: what a model is trained on that fills in whatever is asked for."""

import jax
import jax.numpy as jnp

from jaxvae.types import Array, PRNGKey

KINDS = 4


def random_masks(keys: PRNGKey, height: int, width: int) -> Array:
    """Return which pixels are known, [B, H, W] booleans: a kind each, drawn evenly.

    Some quadrants, of which any two make a half or lie across; all but a box; a box alone; and single pixels, of which
    the share is drawn evenly from none to all.

    Args:
      keys: [B].
      height: H.
      width: W.
    """
    return jax.vmap(lambda key: _one(key, height, width))(keys)


# ---------- private


def _one(key: PRNGKey, height: int, width: int) -> Array:
    kind, quadrants, corners, share, pixels = jax.random.split(key, 5)
    rows, columns = jnp.arange(height)[:, None], jnp.arange(width)[None]
    # One of the sixteen subsets but for none and all of them.
    some = (jax.random.randint(quadrants, (), 1, 15) >> jnp.arange(4)) % 2 == 1
    of_quadrants = some[2 * (rows >= height // 2) + (columns >= width // 2)]
    (top, bottom), (left, right) = (
        jnp.sort(jax.random.randint(key, (2,), 0, side + 1))
        for key, side in zip(jax.random.split(corners), (height, width), strict=True)
    )
    box = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    of_pixels = jax.random.uniform(pixels, (height, width)) < jax.random.uniform(share)
    return jnp.stack([of_quadrants, ~box, box, of_pixels])[jax.random.randint(kind, (), 0, KINDS)]
