"""How sharp images are: their power at each spatial frequency."""

from typing import Any

import numpy as np

from jaxvae.errors import check_shape


def power_spectrum(x: Any) -> np.ndarray:
    """Return the power of images at each spatial frequency, the mean over directions, images and channels.

      P(r) = mean_{|f| in r +- 1/2} |F(f)|^2 / (H W),    F the discrete Fourier transform,    |f| cycles an image

    White noise of variance v has P(r) = v for all r. Frequencies of images that are not square count by their longer
    side, and those beyond its Nyquist frequency, in the corners of the spectrum, are left out.

    Args:
      x: [N, H, W, C].

    Returns:
      [floor(max(H, W) / 2) + 1], P(0) to that of the Nyquist frequency.
    """
    x = np.asarray(x, np.float32)
    check_shape("x", x, (None, None, None, None))
    height, width = x.shape[1:3]
    side = max(height, width)
    power = np.mean(np.square(np.abs(np.fft.fft2(x, axes=(1, 2)))), axis=(0, 3), dtype=np.float64) / (height * width)
    rows, columns = (np.fft.fftfreq(n) * side for n in (height, width))
    radius = np.round(np.hypot(rows[:, None], columns)).astype(np.int64)
    inside = radius <= side // 2
    counts = np.bincount(radius[inside], minlength=side // 2 + 1)
    return np.bincount(radius[inside], power[inside], minlength=side // 2 + 1) / counts


def high_frequency_power(x: Any, above: float = 0.5) -> float:
    """Return the power of images at high frequencies, a mean as in `power_spectrum`.

    Args:
      x: [N, H, W, C].
      above: the part of the Nyquist frequency from which on frequencies count, 0 to 1.
    """
    power = power_spectrum(x)
    first = int(np.ceil(above * (len(power) - 1)))
    weights = np.arange(first, len(power))  # about as many frequencies as their radius
    return float(np.average(power[first:], weights=np.maximum(weights, 1)))
