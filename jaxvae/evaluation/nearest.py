"""Nearest images of a data set: whether a model's samples are new, or copies of what it was trained on."""

import jax.numpy as jnp
import numpy as np

from jaxvae.data import to_unit


def nearest_images(x: np.ndarray, among: np.ndarray, num_values: int, chunk: int = 5_000) -> np.ndarray:
    """Return the image that is nearest to each, by the Euclidean distance of pixels.

    Args:
      x: [N, H, W, C] in [0, 1].
      among: [M, H, W, C], as in a data set.
      num_values: values that a pixel of these takes.
      chunk: of them at a time.

    Returns:
      [N, H, W, C] in [0, 1].
    """
    flat = x.reshape(len(x), -1).astype(np.float32)
    best, nearest = np.full(len(x), np.inf, np.float32), np.zeros_like(x)
    for start in range(0, len(among), chunk):
        some = np.asarray(to_unit(jnp.asarray(among[start : start + chunk]), num_values))
        rows = some.reshape(len(some), -1)
        distance = np.sum(np.square(rows), axis=1)[None] - 2.0 * flat @ rows.T
        index = np.argmin(distance, axis=1)
        least = distance[np.arange(len(x)), index]
        nearest = np.where((least < best)[:, None, None, None], some[index], nearest)
        best = np.minimum(best, least)
    return nearest
