"""Images and codes made from a description, so that nothing has to be downloaded."""

import numpy as np

SIDE = 28
NUM_BUMPS = 3
CODES_SIDE, NUM_CODES = 7, 512  # of a VQ-VAE of 28x28 images


def bumps(num: int, seed: int = 0) -> np.ndarray:
    """Draw bright bumps on black: sums of three round Gaussians at random places and of random widths.

    Args:
      num: N, images.
      seed: of the places, uniform in [6, 22] pixels, and the widths, uniform in [1.5, 4].

    Returns:
      [N, 28, 28, 1] float32 in [0, 1]; what is brighter than 1 is cut.
    """
    rng = np.random.default_rng(seed)
    centres = rng.uniform(6.0, 22.0, (num, NUM_BUMPS, 2))
    widths = rng.uniform(1.5, 4.0, (num, NUM_BUMPS))
    distances = (np.arange(SIDE) - centres[..., None]) / widths[..., None, None]  # [N, bump, axis, pixel]
    profiles = np.exp(-0.5 * distances**2).astype(np.float32)
    images = np.einsum("nbr,nbc->nrc", profiles[:, :, 0], profiles[:, :, 1])
    return np.clip(images, 0.0, 1.0)[..., None]


def codes(num: int, seed: int = 0) -> np.ndarray:
    """Draw grids of codes, all equally likely: [N, 7, 7] int32."""
    return np.random.default_rng(seed).integers(0, NUM_CODES, (num, CODES_SIDE, CODES_SIDE), np.int32)
