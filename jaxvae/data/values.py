"""What the values of pixels are: zeros and ones, or 256 levels; and what a person must know of them."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxvae.data.colours import FEW, distinct
from jaxvae.data.notices import counted, notice
from jaxvae.data.part_names import SETS
from jaxvae.errors import UserError

FIRST = 16  # images that decide in most cases, so that grey data are not read in full
DIM = 64  # of 255: images that stay below are dark


def settle(images: Mapping[str, np.ndarray], name: str) -> tuple[list[np.ndarray], int]:
    """Settle on uint8 or float32 for all parts, and on the number of values that a pixel takes.

    Floats become uint8 where every one is k/255 to within the rounding of float32. Images of two values are binary:
    uint8 {0, 1}; so are those of which each has only {0, 1}, or only {0, 255}.

    Args:
      images: of each part, uint8 or float32, [N, H, W, C].
      name: the source, for messages.

    Returns:
      The images of each part, and 2 or 256.

    Raises:
      UserError: if one part is black and white and another one grey.
    """
    settled = to_one_type(list(images.values()))
    if (binary := _binary(settled)) is not None:
        return binary, 2
    if settled[0].dtype == np.float32:
        return settled, 256
    largest = {part: int(x.max()) for part, x in zip(images, settled, strict=True)}
    most = max(largest.values())
    for part, value in largest.items():
        if value == 1:
            other = max(largest, key=largest.__getitem__)
            raise UserError(
                f"{name}: {SETS[part]} images have the values 0 and 1, {SETS[other]} images 0 to {most}: store all "
                "alike."
            )
    _say_what_is_dark(settled, most)
    return settled, 256


def white_of_each(x: np.ndarray) -> np.ndarray | None:
    """Return the largest value of each image [N], if each has only 0 and 1, or only 0 and 255; None otherwise."""
    found = []
    for some in (x[:FIRST], x[FIRST:]):
        pixels = some.reshape(len(some), int(np.prod(x.shape[1:])))
        white = pixels.max(1)
        if not (np.isin(white, (0, 1, 255)).all() and ((pixels == 0) | (pixels == white[:, None])).all()):
            return None
        found.append(white)
    return np.concatenate(found)


def warn_of_equal_images(images: Sequence[np.ndarray], name: str) -> None:
    """Write a warning if all images are the same, or each is of one colour: nothing can be learnt from these."""
    first = images[0][0]
    if all(bool((x == first).all()) for part in images for x in (part[:FIRST], part[FIRST:])):
        num = sum(map(len, images))
        what = "blank" if (first == first[:1, :1]).all() else "the same"
        notice(f"{name}: all {counted(num, 'image')} are {what}: there is nothing to learn from these.", "warning")
    elif all(bool((x == x[:, :1, :1]).all()) for part in images for x in (part[:FIRST], part[FIRST:])):
        notice(f"{name}: each image is of one colour, without anything on it.", "warning")


def to_one_type(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return images as uint8 where all of them are k/255 to within the rounding of float32, else as float32."""
    if all(x.dtype == np.uint8 for x in images):
        return list(images)
    floats = [x.astype(np.float32) / 255 if x.dtype == np.uint8 and x.max() > 1 else x for x in images]
    levels = [np.rint(x * np.float32(255)) for x in floats]
    if any(np.abs(x * np.float32(255) - level).max() > 1e-4 for x, level in zip(floats, levels, strict=True)):
        return [x.astype(np.float32) for x in floats]
    return [level.astype(np.uint8) for level in levels]


# ---------- private


def _binary(images: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """The images as zeros and ones, None if they are not binary."""
    if images[0].dtype == np.uint8:
        if all(x.max() <= 1 for x in images):
            return list(images)
        whites = [white_of_each(x) for x in images]
        if all(found is not None for found in whites):
            if {1, 255} <= {int(white) for found in whites if found is not None for white in np.unique(found)}:
                notice("white is 1 in some images, 255 in others: all are read as black and white.")
            return [(x > 0).astype(np.uint8) for x in images]
    low, high = min(x.min() for x in images), max(x.max() for x in images)
    for x in images:
        for some in (x[:FIRST], x[FIRST:]):
            if low == high or not ((some == low) | (some == high)).all():
                return None
    if images[0].shape[-1] == 1:
        notice(f"all pixels are {low:g} or {high:g}: read as black and white.")
    else:
        notice(
            f"red, green and blue are {low:g} or {high:g} everywhere: each is read as 0 or 1; of labels of regions, "
            "make one black and white image each."
        )
    return [(x == high).astype(np.uint8) for x in images]


def _say_what_is_dark(images: Sequence[np.ndarray], largest: int) -> None:
    few = [distinct(x[:FIRST].reshape(-1, 1), FEW) for x in images]
    if all(found is not None for found in few):
        few = [distinct(x.reshape(-1, 1), FEW) for x in images]
    if all(found is not None for found in few):
        values = sorted({int(colour[0]) for found in few for colour in found or ()})
        if len(values) <= FEW:
            notice(
                f"pixels have the values {', '.join(map(str, values))} only, which are taken for levels from 0, black, "
                "to 255, white; of labels of regions, make one black and white image each."
            )
            return
    if largest < DIM:
        notice(f"the brightest pixel of all images is {largest} of 255: they are nearly black.")
        return
    dark = sum(int((x.reshape(len(x), -1).max(1) == 1).sum()) for x in images)
    if dark:
        some = f"{counted(dark, 'image has', 'images have')} the values 0 and 1 only"
        notice(f"{some}, of {sum(map(len, images)):,}, others up to {largest}: black beside them.")
