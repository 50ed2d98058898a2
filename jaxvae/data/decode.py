"""One image file to pixels; Pillow is imported when the first one is read."""

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvae.data.files import FORMATS, image_format
from jaxvae.data.limits import MAX_SIDE, check_sides
from jaxvae.errors import UserError

ORIENTATION = 0x0112  # the EXIF tag; 5 to 8 lie on their side
MOST_FRAMES = 1000  # of a TIFF file, which has to be gone through page by page
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # TIFF tags


class Header(NamedTuple):
    """What is known of an image before its pixels are."""

    size: tuple[int, int]  # (H, W) of the upright image
    mode: str  # Pillow's
    wide: bool  # pixels of more than 8 bits
    frames: int  # of an animation, pages of a document; 1000 stands for more
    doubtful: bool  # whether the camera's notes are damaged, so that it may lie on its side


def header(path: Path) -> Header:
    """Read all but the pixels of an image, and its check sums where the format has any.

    Raises:
      UserError: if it is no image, damaged, or too large.
    """
    with _open(path) as (image, said):
        check_sides(image.height, image.width, str(path))
        wide, is_png = image.mode[0] in "IF" or _is_wide(image), image.format == "PNG"
        lies = False  # of a TIFF, which Pillow turns itself, and of a PNG without notes: for others it is decoded
        if not (image.format == "TIFF" or (is_png and not re.search(rb"eXIf|tEXt|zTXt|iTXt", path.read_bytes()))):
            lies = image.getexif().get(ORIENTATION, 1) >= 5
        size = (image.width, image.height) if lies else (image.height, image.width)
        found = Header(size, image.mode, wide, _frames(image), bool(_damage(said)))
    if is_png:
        with _open(path) as (image, _):
            image.verify()
    return found


def pixels(path: Path) -> np.ndarray:
    """Read the first frame of an image, [H, W, 1] if it has no colour, whatever its mode, else [H, W, 3].

    Transparent pixels are put on white, and the orientation that a camera noted is respected.

    Returns:
      uint8; uint16 of files with 16 bits, as they are stored; float32 of files with floats, as they are stored.

    Raises:
      UserError: if it is damaged, or its values cannot be told.
    """
    with _open(path) as (image, _):
        check_sides(image.height, image.width, str(path))
        if image.format == "TIFF":
            _check_tiff(image, path)
        if image.mode == "F":
            x = _floats(image, path)
        elif image.mode.startswith("I"):
            x = _on_white(*_integers(image, path), path)
        elif _is_wide(image):
            x = _on_white(*_wide_colours(image, path), path)
        else:
            x = _bytes(image)
    x = x[..., None] if x.ndim == 2 else x
    return x[..., :1] if all((x[..., i] == x[..., 0]).all() for i in range(1, x.shape[-1])) else x


# ---------- private


@contextmanager
def _open(path: Path) -> Iterator[tuple[Any, list[warnings.WarningMessage]]]:
    """An image of the formats that are meant, and the warnings of the decoder so far."""
    try:
        from PIL import Image
    except ImportError as error:
        raise UserError(
            'Reading image files needs Pillow, which is not installed; pip install "jaxvae[experiments]".'
        ) from error
    image_format(path)  # no pipe is opened
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            # Of a path Pillow would map a TIFF that lies on its side into memory in the wrong order.
            with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
                yield image, said
                damage = _damage(said) if image.format == "TIFF" else []  # whose tags are the image, no mere notes
        if damage:
            raise ValueError(damage[0])
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: too many pixels, expected at most {MAX_SIDE} on either side.") from error
    except Exception as error:  # decoders fail in every way on damaged files
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise UserError(f"{path} cannot be read as an image ({reason}); replace or remove it.") from error


def _damage(said: list[warnings.WarningMessage]) -> list[str]:
    words = ("corrupt", "truncated", "larger than file")
    return [str(one.message) for one in said if any(word in str(one.message).lower() for word in words)]


def _frames(image: Any) -> int:
    if image.format != "TIFF":
        return getattr(image, "n_frames", 1)
    for page in range(1, MOST_FRAMES):
        try:
            image.seek(page)
        except EOFError:
            return page
    return MOST_FRAMES


def _check_tiff(image: Any, path: Path) -> None:
    """Raise a `UserError` for kinds of TIFF whose values Pillow gives as others."""
    bits, kinds = (np.ravel(image.tag_v2.get(tag, 1)) for tag in (_BITS, _SAMPLE_FORMAT))
    wide = 16 in bits
    if wide and image.tag_v2.get(_PHOTOMETRIC) == 0:
        raise UserError(f"{path} has 16 bits with white as 0, which is not read: store it with black as 0.")
    if wide and not image.mode.startswith("I") and not _is_wide(image):
        raise UserError(f"{path} has 16 bits in planes, which is not read: store its colours pixel by pixel.")
    if 8 in bits and 2 in kinds:
        raise UserError(f"{path} has signed pixels, expected unsigned ones: store them as 0 to 255.")


def _raw_modes(image: Any) -> list[str]:
    """How the pixels lie in the file, in Pillow's words: "RGB;16B"."""
    return [str(tile[3] if isinstance(tile[3], str) else tile[3][0]) for tile in image.tile if tile[3]]


def _is_wide(image: Any) -> bool:
    """Whether an image of colours or transparency has 16 bits, of which Pillow gives the upper 8."""
    if image.mode[0] in "IF":
        return False
    is_pnm = any(tile[0] in ("ppm", "ppm_plain") and tile[3][1] > 255 for tile in image.tile)
    return is_pnm or any(";16" in mode for mode in _raw_modes(image) if not mode.startswith(("BGR;", "CMYK;")))


def _bytes(image: Any) -> np.ndarray:
    from PIL import Image, ImageOps

    ImageOps.exif_transpose(image, in_place=True)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))


def _floats(image: Any, path: Path) -> np.ndarray:
    from PIL import ImageOps

    ImageOps.exif_transpose(image, in_place=True)
    x = np.asarray(image, np.float32)
    if not (x.min() >= 0 and x.max() <= 255):  # NaN too
        raise UserError(f"{path} holds floats from {x.min():g} to {x.max():g}, expected 0 to 1, or 0 to 255.")
    return x


def _integers(image: Any, path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Grey values of 16 bits [H, W, 1], and their opacity [H, W]."""
    from PIL import ImageOps

    ImageOps.exif_transpose(image, in_place=True)
    x = np.asarray(image)[..., None]
    if x.min() < 0 or x.max() > 65535:
        raise UserError(f"{path} holds integers from {x.min()} to {x.max()}, expected 0 to 65535: store it in 8 bits.")
    return x.astype(np.uint16), _keyed(x, image)


def _wide_colours(image: Any, path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours of 16 bits [H, W, C], and their opacity [H, W]: read twice, in either order of the bytes."""
    from PIL import ImageOps

    mode = _raw_modes(image)[0]
    layout, _, order = mode.partition(";16")
    if mode == "LA;16B":  # its four bytes are taken for four colours
        other, layout = "RGBA", "LA"
    elif layout in ("RGB", "RGBX", "RGBA") and order in ("B", "L", "N"):
        other = f"{layout};16{'L' if order == 'B' or (order == 'N' and sys.byteorder == 'big') else 'B'}"
    else:
        raise UserError(f"{path} has colours of 16 bits in a way that is not read ({mode}): store it as PNG.")
    with _open(path) as (again, _):
        again.tile = [_with_mode(tile, other) for tile in again.tile]
        ImageOps.exif_transpose(again, in_place=True)
        low = np.asarray(again).astype(np.uint16)
    if layout == "LA":
        return low[..., :1] << 8 | low[..., 1:2], low[..., 2] << 8 | low[..., 3]
    ImageOps.exif_transpose(image, in_place=True)
    x = np.asarray(image).astype(np.uint16) << 8 | low
    return x[..., :3], x[..., 3] if layout == "RGBA" else _keyed(x, image)


def _with_mode(tile: Any, mode: str) -> Any:
    return type(tile)(*tile[:3], mode if isinstance(tile[3], str) else (mode, *tile[3][1:]))


def _keyed(x: np.ndarray, image: Any) -> np.ndarray | None:
    """The opacity [H, W] of an image in which one colour stands for transparency."""
    key = image.info.get("transparency")
    return None if key is None else np.where((x == np.asarray(key)).all(-1), 0, 65535).astype(np.uint16)


def _on_white(x: np.ndarray, opacity: np.ndarray | None, path: Path) -> np.ndarray:
    if opacity is None or opacity.min() == 65535:
        return x
    if x.max() <= 255:
        raise UserError(
            f"{path} has 16 bits, of which it uses 8, and transparent pixels, which are put on a white that is not "
            "known: store it in 8 bits."
        )
    share = opacity[..., None] / 65535
    return np.rint(x * share + 65535 * (1 - share)).astype(np.uint16)
