"""Masks of images by name: halves, quadrants, boxes; True is what is filled in."""

import re

import numpy as np

from jaxvae.errors import UserError

_BOX = re.compile(r"(\d+),(\d+),(\d+),(\d+)")
_ALL_BUT = "all-but-"
MASKS = (
    *("left-half", "right-half", "top-half", "bottom-half"),
    *("top-left", "top-right", "bottom-left", "bottom-right"),
)


def named_mask(name: str, height: int, width: int) -> np.ndarray:
    """Return which pixels of images a name says are filled in, [H, W] booleans.

    Of an odd number of pixels the first half is the smaller one.

    Args:
      name: a half, as `left-half`; a quadrant, as `top-left`; `all-but-` and one of these; or a box
        `LEFT,TOP,RIGHT,BOTTOM` in pixels, of which right and bottom are the first ones outside.
      height: H.
      width: W.

    Raises:
      UserError: if there is no such mask, or nothing of the box is in the images.
    """
    if (box := _BOX.fullmatch(name)) is not None:
        left, top, right, bottom = map(int, box.groups())
        if not (left < right <= width and top < bottom <= height):
            raise UserError(
                f"The box {name} is not in images of {width}x{height}: expected LEFT,TOP,RIGHT,BOTTOM in pixels, of "
                "which right and bottom are the first ones outside."
            )
        return _box(left, top, right, bottom, height, width)
    base = name.removeprefix(_ALL_BUT)
    if base not in MASKS:
        raise UserError(
            f"There is no mask {name!r}: expected one of {', '.join(MASKS)}, all-but- and one of these, or a box "
            "LEFT,TOP,RIGHT,BOTTOM in pixels."
        )
    words, half = base.split("-"), (height // 2, width // 2)
    mask = _box(
        half[1] if "right" in words else 0,
        half[0] if "bottom" in words else 0,
        half[1] if "left" in words else width,
        half[0] if "top" in words else height,
        height,
        width,
    )
    return ~mask if name.startswith(_ALL_BUT) else mask


# ---------- private


def _box(left: int, top: int, right: int, bottom: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask
