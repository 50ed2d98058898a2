"""What is done to images inside the jitted step: scaling, binarisation, dequantisation, flips.

Noise takes one key an example, so that an example draws the same noise in any batch and on any device. It is made of 16
random bits a pixel, two pixels to a word of the generator: half the time of one float a pixel.
"""

import jax
import jax.numpy as jnp

from jaxvae.types import Array, PRNGKey

NOISE_LEVELS = 2**16


def to_unit(x: Array, num_values: int = 256) -> Array:
    """Scale pixels to [0, 1].

    Args:
      x: images of any shape, integers 0 to num_values - 1, or floats in [0, 1] that stay as they are.
      num_values: values that a pixel takes.

    Returns:
      float32 of the same shape.
    """
    if jnp.issubdtype(x.dtype, jnp.floating):
        return x.astype(jnp.float32)
    return x.astype(jnp.float32) / (num_values - 1)


def binarize(keys: PRNGKey, x: Array, num_values: int = 256) -> Array:
    """Draw each pixel as 0 or 1 with its intensity as the probability of 1, anew at every call.

    The probability is exact at 0 and 1 and rounded to a multiple of 2^-16 between. Binary images pass
    unchanged, whatever the keys.

    Args:
      keys: one key an example, [B].
      x: images [B, H, W, C], integers 0 to num_values - 1 or floats in [0, 1].
      num_values: values that a pixel takes, 2 for binary images.

    Returns:
      float32 {0, 1}, [B, H, W, C].

    References:
      Salakhutdinov & Murray, "On the Quantitative Analysis of Deep Belief Networks", 2008 (there drawn once).
    """
    if num_values == 2:
        return x.astype(jnp.float32)
    threshold = jnp.round(to_unit(x, num_values) * NOISE_LEVELS)
    return (_noise(keys, x.shape) < threshold).astype(jnp.float32)


def dequantize(keys: PRNGKey, x: Array, num_values: int = 256) -> Array:
    """Spread integer pixels evenly over their cells.

      y = (x + u) / num_values,  u ~ U[0, 1)

    u is a multiple of 2^-16, which float32 adds to 255 without rounding: y < 1, and floor(num_values * y) is x again.

    Args:
      keys: one key an example, [B].
      x: images [B, H, W, C], integers 0 to num_values - 1.
      num_values: values that a pixel takes, at most 256.

    Returns:
      float32 in [0, 1), [B, H, W, C]; a density of y in nats is that of x plus log(num_values) a pixel.

    Raises:
      ValueError: if the images are floats, which have no cells.

    References:
      Uria, Murray & Larochelle, "RNADE", 2013, arXiv:1306.0186; Theis et al., "A note on the evaluation of generative
      models", 2016, arXiv:1511.01844.
    """
    if jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"x is {x.dtype}, expected integer pixels: floats are continuous already.")
    return (x.astype(jnp.float32) + _noise(keys, x.shape) / NOISE_LEVELS) / num_values


def flip(keys: PRNGKey, x: Array) -> Array:
    """Mirror each image left to right with probability 1/2.

    Args:
      keys: one key an example, [B].
      x: images [B, H, W, C].

    Returns:
      Images of the same type, [B, H, W, C].
    """
    coins = jax.vmap(jax.random.bernoulli)(keys)
    return jnp.where(coins[:, None, None, None], x[:, :, ::-1], x)


def _noise(keys: PRNGKey, shape: tuple[int, ...]) -> Array:
    """Integers 0 to NOISE_LEVELS - 1 as float32, of the shape [B, ...], from one key an example [B]."""
    if keys.shape != shape[:1]:
        raise ValueError(f"keys have shape {list(keys.shape)}, expected one an image, [{shape[0]}].")
    size = 1
    for length in shape[1:]:
        size *= length
    words = jax.vmap(lambda key: jax.random.bits(key, ((size + 1) // 2,), jnp.uint32))(keys)
    halves = jnp.concatenate([words & 0xFFFF, words >> 16], axis=1)
    return halves[:, :size].reshape(shape).astype(jnp.float32)
