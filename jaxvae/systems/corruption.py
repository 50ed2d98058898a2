"""Corruptions of images for denoising, by name."""

import functools
from typing import Literal

from jaxvae.data import gaussian_noise, masking_noise, salt_and_pepper, shift
from jaxvae.errors import UserError
from jaxvae.keys import split_each
from jaxvae.nets import dropout
from jaxvae.systems.pixels import unchanged
from jaxvae.types import Array, Corrupt, PRNGKey

NoiseName = Literal["none", "gaussian", "masking", "salt_and_pepper", "dropout"]
NOISES = {"gaussian": gaussian_noise, "masking": masking_noise, "salt_and_pepper": salt_and_pepper, "dropout": dropout}


def make_corruption(name: NoiseName, level: float, most: int = 0) -> Corrupt:
    """Return a corruption by its name.

    Args:
      name: of the noise.
      level: its standard deviation, or the probability that a pixel is changed.
      most: pixels by which images are shifted at most, before the noise; what comes in is black.

    Returns:
      (keys [B], x [B, ...]) -> corrupted x.
    """
    noise: Corrupt = unchanged if name == "none" else functools.partial(corrupted, name=name, level=level)
    return functools.partial(shifted, most=most, noise=noise) if most else noise


def corrupted(keys: PRNGKey, x: Array, name: NoiseName, level: float) -> Array:
    """Return corrupted images or codes."""
    return NOISES[name](keys, x, level)


def shifted(keys: PRNGKey, x: Array, most: int, noise: Corrupt) -> Array:
    """Return images shifted at random, then corrupted."""
    first, second = split_each(keys)
    return noise(second, shift(first, x, most))


def check_noise(name: NoiseName, level: float) -> None:
    """Raise a `UserError` unless a noise level is valid for a corruption."""
    expected = {"gaussian": "at least 0", "dropout": "0 to below 1"}.get(name, "0 to 1")
    if not (level >= 0 and (name == "gaussian" or level < 1 or (level == 1 and name != "dropout"))):
        raise UserError(f"The noise level is {level}, expected {expected} of {name}.")
