"""How many bytes images need without any model: as image files, and packed all together."""

import contextlib
import io
import lzma
import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxvae.progress import progress

CODEC = "zlib of level 9, of pixels or of their differences to those on the left or above, whichever is shortest"
LEVEL = 9
MOST_PIXELS = 400_000  # of images that become files: of more, some at even distances stand for all
# As Pillow calls them, with what makes the smallest files.
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "PNG": ("PNG", {"optimize": True}),
    "WebP, lossless": ("WEBP", {"lossless": True, "quality": 100, "method": 6}),
    "JPEG XL, lossless": ("JXL", {"lossless": True, "effort": 9}),
}


class Size(NamedTuple):
    """Bytes of all images in one format."""

    name: str
    num_bytes: int
    num_measured: int  # images that were written: where they are not all, the bytes are an estimate


def sizes(values: np.ndarray, num_values: int) -> list[Size]:
    """Return what images need in the formats that there are: a file each by Pillow, and by lzma all in one.

    Pixels of two values are one bit each where the format has that: in PNG, and for lzma, eight to a byte.

    Args:
      values: [N, H, W, C] uint8, 0 to num_values - 1.
      num_values: that a pixel takes.
    """
    num, white, rows = len(values), num_values - 1, measured_rows(values)
    is_binary = not ((values != 0) & (values != white)).any()
    found = []
    for name, write in _writers(white, is_binary).items():
        written = sum(write(values[row]) for row in progress(rows, name))
        found.append(Size(name, round(written * num / len(rows)), len(rows)))
    packed = np.packbits(values.reshape(-1)) if is_binary else values
    together = lzma.compress(packed.tobytes(), format=lzma.FORMAT_ALONE, preset=9 | lzma.PRESET_EXTREME)
    return [*found, Size("lzma of all together", len(together), num)]


def measured_rows(values: np.ndarray) -> np.ndarray:
    """Return which images of [N, H, W, C] are written to stand for all."""
    num, most = len(values), max(1, MOST_PIXELS // math.prod(values.shape[1:]))
    return np.arange(num) if num <= most else np.linspace(0, num - 1, most).astype(np.int64)


def compressed_nats(images: Any) -> np.ndarray:
    """Return the length of every image, compressed losslessly: a measure of how simple it is.

    The pixels are compressed by zlib as they are, and as differences to the pixel on the left and to that above, as PNG
    has them; the shortest counts, without the header of two and the checksum of four bytes.

    Args:
      images: integers [N, H, W, C]; floats in [0, 1] are taken to the nearest of 256 values.

    Returns:
      [N] float64, nats.
    """
    x = np.asarray(images)
    x = np.rint(255 * x).astype(np.uint8) if x.dtype.kind == "f" else x.astype(np.uint8)
    return np.array([8 * math.log(2) * _shortest(image) for image in x])


# ---------- private


def _writers(white: int, is_binary: bool) -> dict[str, Callable[[np.ndarray], int]]:
    """For every format that Pillow can write, what gives the bytes of one image; none without Pillow."""
    try:
        from PIL import Image
    except ImportError:
        return {}
    with contextlib.suppress(ImportError):
        import pillow_jxl  # noqa: F401  # which adds JPEG XL to what Pillow writes
    Image.init()

    def writer(kind: str, options: dict[str, Any]) -> Callable[[np.ndarray], int]:
        def write(image: np.ndarray) -> int:
            x = image[..., 0] if image.shape[-1] == 1 else image
            if is_binary and kind == "PNG" and x.ndim == 2:
                picture = Image.fromarray(x.astype(bool))
            else:
                picture = Image.fromarray(x * np.uint8(255 // white))
            contents = io.BytesIO()
            picture.save(contents, kind, **options)
            return contents.tell()

        return write

    return {name: writer(kind, options) for name, (kind, options) in FORMATS.items() if kind in Image.SAVE}


def _shortest(image: np.ndarray) -> int:
    left, above = np.diff(image, axis=1, prepend=np.uint8(0)), np.diff(image, axis=0, prepend=np.uint8(0))
    return min(len(zlib.compress(np.ascontiguousarray(one).tobytes(), LEVEL)) - 6 for one in (image, left, above))
