"""How many bytes images need as files with loss, at the quality that a model's have."""

import io
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxvae.applications.compression.formats import Size, measured_rows
from jaxvae.evaluation import psnr
from jaxvae.progress import progress

# As Pillow calls them, with what makes the smallest files.
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {"JPEG": ("JPEG", {"optimize": True}), "WebP": ("WEBP", {"method": 6})}
QUALITIES = 100


def lossy_sizes(values: np.ndarray, num_values: int, least: float) -> list[Size]:
    """Return what images need in formats with loss, a file each by Pillow, at one quality for all of them.

    Args:
      values: [N, H, W, C] uint8, 0 to num_values - 1.
      num_values: that a pixel takes.
      least: PSNR that the images have on average, dB: the lowest quality is taken that reaches it, and no format that
        never does.

    Returns:
      Sizes, with the quality and the PSNR in their names; none without Pillow.
    """
    try:
        from PIL import Image
    except ImportError:
        return []
    Image.init()
    pictures, rows = values * np.uint8(255 // (num_values - 1)), measured_rows(values)
    found = []
    for name, (kind, options) in FORMATS.items():
        lowest, highest, num_bytes, reached = 1, QUALITIES + 1, 0, 0.0  # what is between was not tried
        while kind in Image.SAVE and lowest < highest:
            quality = (lowest + highest) // 2 if highest <= QUALITIES else QUALITIES
            written = [_written(pictures[row], kind, quality, options) for row in progress(rows, f"{name} {quality}")]
            back = np.stack([one for _, one in written])
            found_psnr = mean_psnr(pictures[rows], back, 256)
            if found_psnr >= least:
                highest, num_bytes, reached = quality, sum(size for size, _ in written), found_psnr
            elif quality == QUALITIES:
                break
            else:
                lowest = quality + 1
        if num_bytes:
            found.append(
                Size(
                    f"{name}, quality {highest}, {reached:.1f} dB",
                    round(num_bytes * len(values) / len(rows)),
                    len(rows),
                )
            )
    return found


def quality_of_formats(values: np.ndarray, qualities: Sequence[int]) -> dict[str, list[tuple[float, float]]]:
    """Return mean bytes and PSNR of images in formats with loss, at some qualities; none without Pillow.

    Args:
      values: [N, H, W, C] uint8, 0 to 255.
      qualities: 1 to 100.
    """
    try:
        from PIL import Image
    except ImportError:
        return {}
    Image.init()
    found: dict[str, list[tuple[float, float]]] = {}
    for name, (kind, options) in FORMATS.items():
        for quality in qualities if kind in Image.SAVE else ():
            written = [_written(one, kind, quality, options) for one in values]
            back = np.stack([one for _, one in written])
            point = float(np.mean([size for size, _ in written])), mean_psnr(values, back, 256)
            found.setdefault(name, []).append(point)
    return found


def mean_psnr(values: np.ndarray, back: np.ndarray, num_values: int) -> float:
    """Return the PSNR of images that came back, dB, a mean over images of [N, H, W, C] uint8."""
    most = np.float32(num_values - 1)
    return float(jnp.mean(psnr(jnp.asarray(values / most), jnp.asarray(back / most))))


# ---------- private


def _written(picture: np.ndarray, kind: str, quality: int, options: dict[str, Any]) -> tuple[int, np.ndarray]:
    """Bytes of the file of an image [H, W, C], and the image that it has."""
    from PIL import Image

    contents = io.BytesIO()
    one = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    one.save(contents, kind, quality=quality, **options)
    size = contents.tell()
    back = np.asarray(Image.open(contents).convert(one.mode), np.uint8)
    return size, back.reshape(picture.shape)
