"""One image file to pixels; Pillow is imported when the first one is read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.errors import UserError

ORIENTATION = 0x0112  # the EXIF tag; 5 to 8 lie on their side


def header(path: Path) -> tuple[tuple[int, int], str]:
    """Read the size (H, W) of the upright image and its mode, without the pixels."""
    with _open(path) as image:
        turned = image.getexif().get(ORIENTATION, 1) >= 5
        return (image.width, image.height) if turned else (image.height, image.width), image.mode


def pixels(path: Path) -> np.ndarray:
    """Read an image as uint8, [H, W, 1] if it has no colour, whatever its mode, else [H, W, 3].

    Transparent pixels are put on white, 16 bits are brought to 8, the first frame of an animation counts, and the
    orientation that a camera noted is respected.
    """
    from PIL import Image, ImageOps

    with _open(path) as image:
        upright: Any = ImageOps.exif_transpose(image)
        if upright.mode.startswith(("I", "F")):
            values = np.asarray(upright).astype(np.int64).clip(0, 65535)
            return ((values + 128) // 257).astype(np.uint8)[..., None]  # to the nearest
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        x = np.asarray(upright.convert("L" if upright.mode in ("1", "L", "LA") else "RGB"))
    x = x[..., None] if x.ndim == 2 else x
    return x[..., :1] if (x == x[..., :1]).all() else x


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    try:
        from PIL import Image
    except ImportError as error:
        raise UserError(
            'Reading image files needs Pillow, which is not installed; pip install "jaxvae[experiments]".'
        ) from error
    try:
        with Image.open(path) as image:
            yield image
    except (OSError, EOFError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} cannot be read as an image ({error}); replace or remove it.") from error
