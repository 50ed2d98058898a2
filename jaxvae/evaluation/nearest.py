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


def neighbours_log_prob(x: np.ndarray, unknown: np.ndarray, among: np.ndarray, num: int) -> np.ndarray:
    """Return log p of the unknown pixels of binary images by the nearest images, [N] nats: a floor for completions.

      p(x_i = 1) = (ones among the i-th pixels of the K nearest + 1/2) / (K + 1), nearest by the known pixels

    Args:
      x: images of zeros and ones, [N, H, W, C].
      unknown: booleans, which pixels are scored, [H, W].
      among: images of zeros and ones that are looked among, [M, H, W, C].
      num: K, of at most M.
    """
    masks = np.broadcast_to(unknown[..., None], x.shape[1:]).reshape(-1)
    rows, others = (images.reshape(len(images), -1).astype(np.float32) for images in (x, among))
    known = others[:, ~masks]
    distances = np.sum(known, axis=1)[None] - 2.0 * rows[:, ~masks] @ known.T  # of bits, but for what is of the image
    nearest = np.argpartition(distances, min(num, len(others)) - 1, axis=1)[:, :num]
    ones = np.stack([others[chosen][:, masks].sum(axis=0) for chosen in nearest])
    p = (ones + 0.5) / (nearest.shape[1] + 1)
    log_p = np.log(np.where(rows[:, masks] == 1, p, 1 - p))
    return np.asarray(np.sum(log_p, axis=1, dtype=np.float64))
