"""What is done to images inside the jitted step: scaling, binarisation, dequantisation, flips, shifts, blocks as codes.

Noise takes one key an example, so that an example draws the same noise in any batch and on any device. It is made of 16
random bits a pixel, two pixels to a word of the generator: half the time of one float a pixel.
"""

import jax
import jax.numpy as jnp
import numpy as np

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
    return (pixel_noise(keys, x.shape) < threshold).astype(jnp.float32)


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
    return (x.astype(jnp.float32) + pixel_noise(keys, x.shape) / NOISE_LEVELS) / num_values


def flip(keys: PRNGKey, x: Array) -> Array:
    """Mirror each image left to right with probability 1/2.

    Args:
      keys: one key an example, [B].
      x: images [B, H, W, C].

    Returns:
      Images of the same type, [B, H, W, C].

    Raises:
      ValueError: if the keys are not one an image.
    """
    check_keys(keys, x.shape)
    coins = jax.vmap(jax.random.bernoulli)(keys)
    return jnp.where(coins[:, None, None, None], x[:, :, ::-1], x)


def shift(keys: PRNGKey, x: Array, most: int, *, edge: bool = False) -> Array:
    """Move each image by up to some pixels down or up and right or left, evenly; zeros come in from outside.

    Args:
      keys: one key an example, [B].
      x: images [B, H, W, C].
      most: pixels in each direction, at least 0, no traced value.
      edge: whether copies of the border come in in place of zeros, as photographs need it.

    Returns:
      Images of the same type, [B, H, W, C].

    Raises:
      ValueError: if the keys are not one an image, or `most` is negative.
    """
    check_keys(keys, x.shape)
    if most < 0:
        raise ValueError(f"most is {most}, expected at least 0 pixels.")

    def one(key: PRNGKey, image: Array) -> Array:
        down, right = jax.random.randint(key, (2,), 0, 2 * most + 1)
        wide = jnp.pad(image, ((most, most), (most, most), (0, 0)), mode="edge" if edge else "constant")
        return jax.lax.dynamic_slice(wide, (down, right, 0), image.shape)

    return jax.vmap(one)(keys, x)


def to_blocks(x: Array, size: int) -> Array:
    """Make one code of every block of pixels of binary images.

    The pixels of a block are the digits of its code, those of the upper rows and left columns the higher ones, so that
    a model of the codes is one of the images: a sequence size * size times as short.

    Args:
      x: images of zeros and ones, [B, H, W, C].
      size: side of a block; H and W are multiples of it.

    Returns:
      int32 codes 0 to 2^(size * size * C) - 1, [B, H / size, W / size].
    """
    height, width, channels = x.shape[-3:]
    if height % size or width % size:
        raise ValueError(f"Images of {height}x{width} pixels cannot be divided into blocks of {size}x{size}.")
    blocks = x.reshape(-1, height // size, size, width // size, size, channels).transpose(0, 1, 3, 2, 4, 5)
    digits = blocks.reshape(*blocks.shape[:3], -1).astype(jnp.int32)
    return jnp.dot(digits, _powers_of_two(digits.shape[-1]))


def from_blocks(codes: Array, size: int, num_channels: int = 1) -> Array:
    """Undo `to_blocks`: codes [B, h, w] -> float32 zeros and ones [B, h * size, w * size, num_channels]."""
    num, height, width = codes.shape
    powers = _powers_of_two(size * size * num_channels).reshape(1, 1, 1, -1)
    digits = codes.astype(jnp.int32)[..., None] // powers % 2
    blocks = digits.reshape(num, height, width, size, size, num_channels).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(num, height * size, width * size, num_channels).astype(jnp.float32)


def pixel_noise(keys: PRNGKey, shape: tuple[int, ...]) -> Array:
    """Draw integers 0 to NOISE_LEVELS - 1, all equally likely.

    Args:
      keys: one key an example, [B].
      shape: of the noise, [B, ...].

    Returns:
      float32 of that shape.

    Raises:
      ValueError: if the keys are not one an example.
    """
    check_keys(keys, shape)
    size = 1
    for length in shape[1:]:
        size *= length
    words = jax.vmap(lambda key: jax.random.bits(key, ((size + 1) // 2,), jnp.uint32))(keys)
    halves = jnp.concatenate([words & 0xFFFF, words >> 16], axis=1)
    return halves[:, :size].reshape(shape).astype(jnp.float32)


def check_keys(keys: PRNGKey, shape: tuple[int, ...]) -> None:
    """Raise a ValueError unless there is one key an image of that shape, [B, ...]."""
    if keys.shape != shape[:1]:
        raise ValueError(f"keys have shape {list(keys.shape)}, expected one an image, [{shape[0]}].")


def _powers_of_two(num: int) -> Array:
    """2^(num - 1), ..., 2, 1."""
    return jnp.asarray(2 ** np.arange(num, dtype=np.int32)[::-1])  # no operation of a program
