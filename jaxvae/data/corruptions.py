"""Corruptions of images, which denoising autoencoders learn to undo (Vincent et al. 2010, sec. 3.3).

Noise takes one key an example, as in `jaxvae.data.transforms`. The level is one number or one for each example, and may
be traced, so that a sweep or a draw of levels can vary it.

References:
  Vincent et al., "Stacked Denoising Autoencoders: Learning Useful Representations in a Deep Network with a Local
  Denoising Criterion", 2010.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvae.data.transforms import NOISE_LEVELS, pixel_noise
from jaxvae.types import Array, PRNGKey


def gaussian_noise(keys: PRNGKey, x: Array, level: ArrayLike) -> Array:
    """Add noise of N(0, level^2) to every entry; nothing is clipped.

    Args:
      keys: one key an example, [B].
      x: images or features, [B, ...] floats.
      level: the standard deviation, [] or [B], at least 0.

    Returns:
      [B, ...], of the type of x.

    Raises:
      ValueError: if a level that is known while tracing is not possible, or the keys are not one an example.
    """
    level = _checked(keys, x, level, np.inf)
    return (x + level * jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(keys)).astype(x.dtype)


def masking_noise(keys: PRNGKey, x: Array, level: ArrayLike) -> Array:
    """Set entries to 0 with a probability, rounded to a multiple of 2^-16; arguments as `gaussian_noise`.

    Args:
      keys: one key an example, [B].
      x: images or features, [B, ...] floats.
      level: the probability, [] or [B], 0 to 1.

    Returns:
      [B, ...], of the type of x.

    Raises:
      ValueError: as `gaussian_noise`.
    """
    return _replaced(keys, x, level, 0.0)


def salt_and_pepper(keys: PRNGKey, x: Array, level: ArrayLike) -> Array:
    """Set entries to 0 or 1, each with half of a probability, rounded as in `masking_noise`.

    Args:
      keys: one key an example, [B].
      x: images or features in [0, 1], [B, ...].
      level: the probability that an entry is set, [] or [B], 0 to 1.

    Returns:
      [B, ...], of the type of x.

    Raises:
      ValueError: as `gaussian_noise`.
    """
    half = jnp.round(0.5 * _checked(keys, x, level, 1.0) * NOISE_LEVELS)
    noise = pixel_noise(keys, x.shape)
    return jnp.where(noise < half, 0.0, jnp.where(noise < 2 * half, 1.0, x)).astype(x.dtype)


def flipped_pixels(keys: PRNGKey, x: Array, level: ArrayLike) -> Array:
    """Replace entries x by 1 - x with a probability, rounded as in `masking_noise`: of bits, those of a noisy channel.

    Args:
      keys: one key an example, [B].
      x: images in [0, 1], [B, ...].
      level: the probability, [] or [B], 0 to 1.

    Returns:
      [B, ...], of the type of x.

    Raises:
      ValueError: as `gaussian_noise`.
    """
    return _replaced(keys, x, level, 1 - x)


# ---------- private


def _replaced(keys: PRNGKey, x: Array, level: ArrayLike, other: ArrayLike) -> Array:
    """Images in which entries are those of another with a probability."""
    threshold = jnp.round(_checked(keys, x, level, 1.0) * NOISE_LEVELS)
    return jnp.where(pixel_noise(keys, x.shape) < threshold, other, x).astype(x.dtype)


def _checked(keys: PRNGKey, x: Array, level: ArrayLike, highest: float) -> Array:
    """The level with an axis for each of x's."""
    if not isinstance(level, jax.core.Tracer):
        outside = [one for one in np.ravel(level) if not 0 <= one <= highest]
        if outside:
            expected = f"0 to {highest:g}" if np.isfinite(highest) else "at least 0"
            raise ValueError(f"The level of the noise is {outside[0]:g}, expected {expected}.")
    if keys.shape != x.shape[:1]:
        raise ValueError(f"keys have shape {list(keys.shape)}, expected one an example, [{x.shape[0]}].")
    return jnp.asarray(level, jnp.float32).reshape(-1, *(1 for _ in x.shape[1:]))
