"""Nearest images of a data set: whether a model's samples are new, or copies of what it was trained on."""

from collections.abc import Sequence

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


def neighbours_log_prob(
    x: np.ndarray, unknown: np.ndarray, among: np.ndarray, nums: Sequence[int], chunk: int = 200
) -> np.ndarray:
    """Return log p of the unknown pixels of binary images by the nearest images, [L, N] nats: a floor for completions.

      p(x_i = 1) = (ones among the i-th pixels of the K nearest + 1/2) / (K + 1), nearest by the known pixels

    Args:
      x: images of zeros and ones, [N, H, W, C].
      unknown: booleans, which pixels are scored, [H, W].
      among: images of zeros and ones that are looked among, [M, H, W, C].
      nums: several K, [L], of at most M.
      chunk: of the images at a time.
    """
    masks = np.broadcast_to(unknown[..., None], x.shape[1:]).reshape(-1)
    rows, others = (images.reshape(len(images), -1).astype(np.float32) for images in (x, among))
    known, hidden, most = others[:, ~masks], others[:, masks], max(nums)
    found = []
    for some in np.split(rows, range(chunk, len(rows), chunk)):
        distances = np.sum(known, axis=1)[None] - 2.0 * some[:, ~masks] @ known.T  # of bits, but for those of the image
        nearest = np.argpartition(distances, most - 1, axis=1)[:, :most]
        order = np.argsort(np.take_along_axis(distances, nearest, axis=1), axis=1, kind="stable")
        ones = np.cumsum(hidden[np.take_along_axis(nearest, order, axis=1)], axis=1)  # [n, most, pixels]
        p = np.stack([(ones[:, num - 1] + 0.5) / (num + 1) for num in nums])
        found.append(np.sum(np.log(np.where(some[None, :, masks] == 1, p, 1 - p)), axis=2, dtype=np.float64))
    return np.concatenate(found, axis=1)
