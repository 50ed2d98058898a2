"""How near reconstructions are to their images, and what a model without any structure scores.

Reconstruction quality on [0, 1] images: PSNR and SSIM. The floor that every model must beat: all pixels independent,
with one histogram. Everything is per image; means are the caller's.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxvae.errors import UserError, check_shape
from jaxvae.types import Array

MAX_PSNR = 100.0  # dB
_CHUNK = 1_000  # images whose pixels are counted or scored at a time, against 8-byte copies of a whole data set


def psnr(x: Array, y: Array) -> Array:
    """Return the peak signal-to-noise ratio of images in [0, 1].

      PSNR = -10 log10( mean (x - y)^2 ), at most `MAX_PSNR`

    The limit is what equal images get, whose ratio is infinite: so means stay finite. Errors of half an 8-bit level
    have 54 dB.

    Args:
      x: [N, H, W, C].
      y: [N, H, W, C].

    Returns:
      [N], dB.
    """
    check_shape("y", y, x.shape)
    squared = jnp.square(jnp.asarray(x, jnp.float32) - jnp.asarray(y, jnp.float32))
    error = jnp.mean(squared.reshape(squared.shape[0], -1), axis=1)
    return -10.0 * jnp.log10(jnp.maximum(error, 10.0 ** (-MAX_PSNR / 10.0)))


def ssim(x: Any, y: Any) -> np.ndarray:
    """Return the structural similarity of images in [0, 1], 1 for equal ones.

    Departs from the paper: a uniform window of 7x7 pixels, scikit-image's default, in place of a Gaussian one, and of
    the largest odd size that fits where an image is smaller. Channels are compared apart and averaged.

    Args:
      x: [N, H, W, C], H and W at least 3.
      y: [N, H, W, C].

    Returns:
      [N], within [-1, 1].

    Raises:
      UserError: if scikit-image is not installed.
      ValueError: for images of fewer than 3x3 pixels.

    References:
      Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004, eq. 13.
    """
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise UserError(
            'SSIM needs scikit-image, which is not installed; pip install "jaxvae[experiments]".'
        ) from error
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    check_shape("x", x, (None, None, None, None))
    check_shape("y", y, x.shape)
    side = min(x.shape[1:3])
    if side < 3:
        raise ValueError(f"SSIM of images of {x.shape[1]}x{x.shape[2]} pixels: expected at least 3x3.")
    window = min(7, side - 1 + side % 2)
    if x.shape[-1] == 1:  # without a channel axis it takes half the time
        options, pairs = {}, zip(x[..., 0], y[..., 0], strict=True)
    else:
        options, pairs = {"channel_axis": -1}, zip(x, y, strict=True)
    return np.array([structural_similarity(a, b, win_size=window, data_range=1.0, **options) for a, b in pairs])


def pixel_histogram(x: Any, num_values: int) -> np.ndarray:
    """Return how often every pixel value occurs in all pixels of all training images, with one added to every count.

    The added one keeps values finite that only the test images have.

    Args:
      x: [N, ...], integers 0 to V - 1.
      num_values: V.

    Returns:
      Probabilities [V].
    """
    counts = np.ones(num_values)
    for start in range(0, len(x), _CHUNK):
        counts += np.bincount(_values(x[start : start + _CHUNK], num_values).ravel(), minlength=num_values)
    return counts / counts.sum()


def intensity_histogram(x: Any) -> np.ndarray:
    """Return `pixel_histogram` of the binary images that are drawn with the intensities as probabilities of a one.

    Args:
      x: intensities in [0, 1], [N, ...].

    Returns:
      Probabilities of zero and one, [2].
    """
    x = np.asarray(x)
    if np.any(x < 0) or np.any(x > 1):
        raise ValueError(f"Intensities from {x.min()} to {x.max()}, expected [0, 1].")
    one = (np.sum(x, dtype=np.float64) + 1.0) / (x.size + 2.0)
    return np.array([1.0 - one, one])


def histogram_nll(probabilities: np.ndarray, x: Any) -> np.ndarray:
    """Return -log p(x) of images whose pixels are independent and have all the same distribution.

    No model worth its parameters is above this.

    Args:
      probabilities: of the pixel values, [V].
      x: [N, ...], integers 0 to V - 1 (of any dtype).

    Returns:
      [N], nats per image.
    """
    log_p = np.log(probabilities)
    nll = np.empty(len(x))
    for start in range(0, len(x), _CHUNK):
        values = _values(x[start : start + _CHUNK], len(log_p))
        nll[start : start + _CHUNK] = -log_p[values].reshape(len(values), -1).sum(axis=1)
    return nll


# ---------- private


def _values(x: Any, num_values: int) -> np.ndarray:
    """Return pixels as indices of a histogram, [N, ...]."""
    x = np.asarray(x)
    values = x.astype(np.int64)
    if values.size and (values.min() < 0 or values.max() >= num_values or np.any(values != x)):
        raise ValueError(f"Pixels from {x.min()} to {x.max()}, expected integers from 0 to {num_values - 1}.")
    return values


def reconstruction_metrics(x: Any, reconstructions: Any) -> dict[str, float]:
    """Return how well images come back: the mean squared error, PSNR in dB and SSIM, means over images.

    Args:
      x: images [N, H, W, C] in [0, 1].
      reconstructions: of the same shape.

    Returns:
      "mse", "psnr" and, of images of at least 3x3 pixels where scikit-image is installed, "ssim".
    """
    scores = {
        "mse": float(np.mean(np.square(x - reconstructions), dtype=np.float64)),
        "psnr": float(np.mean(psnr(x, reconstructions))),
    }
    if min(x.shape[1:3]) >= 3:
        try:
            scores["ssim"] = float(np.mean(ssim(x, reconstructions)))
        except UserError as error:
            print(f"warning: {error}")
    return scores
