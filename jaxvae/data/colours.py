"""The colours of a set of images, as far as they are few, and whether they are black and white."""

from typing import Any, NamedTuple

import numpy as np

from jaxvae.data.notices import listed, notice
from jaxvae.errors import UserError

FEW = 16  # colours of a set that are looked at one by one
WHITES = {"u1": (1, 255), "u2": (1, 255, 65535), "f4": (1, 255)}  # what masks have for white, by the type of pixels

Colour = tuple[float, ...]  # (red, green, blue), three times the same of grey
Colours = dict[tuple[str, Colour], int]  # pixels of each colour, by the type of the pixels: "u1", "u2" or "f4"


class Binary(NamedTuple):
    """How images of two colours become zeros and ones."""

    white: tuple[Colour, ...]  # in 8 bits, what becomes 1
    mixed: bool  # whether white is not the same in all files: then all but 0 becomes 1
    ink: int  # the rarer one of 0 and 1


class Census:
    """The colours of a set, for as long as they are few, and the largest values."""

    def __init__(self) -> None:
        self.colours: Colours = {}
        self.few = True  # whether `colours` are all there are
        self.grey = True
        self.masks = True  # whether each image by itself has only 0 and one kind of white
        self.most = {"u1": 0.0, "u2": 0.0, "f4": 0.0}  # largest value, by type
        self.low = 0  # images of 16 bits that use 8 at most, black ones aside
        self.unit = False  # whether some image has floats from 0 to 1

    def add(self, x: np.ndarray) -> None:
        """Take in an image [H, W, 1 or 3] of bytes, 16-bit values or floats."""
        kind, largest = x.dtype.str[1:], float(x.max())
        self.grey = self.grey and x.shape[-1] == 1
        self.most[kind] = max(self.most[kind], largest)
        self.low += kind == "u2" and 0 < largest <= 255
        self.unit = self.unit or (kind == "f4" and largest <= 1 and bool((x % 1 > 0).any()))
        found = distinct(x, FEW) if self.few else None
        if found is None:
            self.few = self.masks = False
            return
        own = {colour for colour in found if any(colour)}
        self.masks = self.masks and (not own or own in [{(white,) * 3} for white in WHITES[kind]])
        for colour, num in found.items():
            self.colours[kind, colour] = self.colours.get((kind, colour), 0) + num
        self.few = len(self.colours) <= FEW

    @property
    def wide(self) -> int:
        """What 16-bit values are divided by: 257, or 1 where no file uses more than 8 of the bits."""
        return 257 if self.most["u2"] > 255 else 1

    @property
    def floats(self) -> int:
        """What floats are multiplied by: 255, or 1 where they are not from 0 to 1."""
        return 255 if self.most["f4"] <= 1 else 1


def to_bytes(x: Any, wide: int, floats: int) -> np.ndarray:
    """Bring pixels of 16 bits, or floats, to the nearest of 8 bits."""
    if x.dtype == np.uint16:
        return ((x.astype(np.int64) + wide // 2) // wide).astype(np.uint8)
    return np.rint(x * floats).astype(np.uint8) if x.dtype == np.float32 else x


def distinct(x: np.ndarray, most: int) -> dict[Colour, int] | None:
    """Count the pixels of each colour of images [..., 1 or 3]; None if there are more colours than `most`."""
    counts: dict[Colour, int] = {}
    pixels = x.reshape(-1, x.shape[-1])
    for start in range(0, len(pixels), 2**20):  # an image of many colours is known by its beginning
        rest = pixels[start : start + 2**20]
        codes = rest[:, 0]
        if x.shape[-1] == 3:
            r, g, b = rest.astype(np.uint64).T
            codes = r << np.uint64(32) | g << np.uint64(16) | b
        while len(codes):
            first = codes == codes[0]
            colour = tuple(rest[0].tolist()) * (3 if x.shape[-1] == 1 else 1)
            counts[colour] = counts.get(colour, 0) + int(first.sum())
            if len(counts) > most:
                return None
            codes, rest = codes[~first], rest[~first]
    return counts


def binary(census: Census) -> Binary | None:
    """Tell whether all images have two colours, and how they become zeros and ones.

    Raises:
      UserError: if colours would become the same in 8 bits.
    """
    if not census.few:
        return None
    counts: dict[Colour, int] = {}
    for (kind, colour), num in census.colours.items():
        as_bytes = _as_bytes(kind, colour, census)
        counts[as_bytes] = counts.get(as_bytes, 0) + num
    whites = sorted({colour[0] for _, colour in census.colours if any(colour)})
    if census.masks and len(whites) > 1:
        shown = " in some images, ".join(f"{white:g}" for white in whites)
        notice(f"white is {shown} in others: all are read as black and white.")
        total = sum(census.colours.values())
        ones = sum(num for (_, colour), num in census.colours.items() if any(colour))
        return Binary((), True, int(2 * ones <= total))
    _check_all_differ(census)
    if len(counts) > 2:
        return None
    if len(counts) == 1:  # a single value says nothing of the other one
        white = [colour for colour in counts if sum(colour) > 3 * 127]
    else:
        dark, bright = sorted(counts, key=_luminance)
        white = [bright]
        if not {*dark, *bright} <= {0, 1, 255} or len({*dark}) > 1 or len({*bright}) > 1:
            notice(f"all pixels are {_shown(dark)} or {_shown(bright)}: read as black and white.")
    return Binary(tuple(white), False, int(2 * sum(counts[colour] for colour in white) <= sum(counts.values())))


def to_binary(x: np.ndarray, census: Census, found: Binary) -> np.ndarray:
    """Bring an image [H, W, C] of two colours to zeros and ones [H, W, 1]."""
    ones = np.zeros((*x.shape[:2], 1), np.uint8)
    if found.mixed:
        ones[(x > 0).any(-1)] = 1
        return ones
    x = to_bytes(x, census.wide, census.floats)
    for colour in found.white:
        ones[(x == np.array(colour[: x.shape[-1]])).all(-1)] = 1
    return ones


# ---------- private


def _as_bytes(kind: str, colour: Colour, census: Census) -> Colour:
    return tuple(to_bytes(np.array(colour, kind), census.wide, census.floats).tolist())


def _check_all_differ(census: Census) -> None:
    """Raise a `UserError` if colours of images of one type become the same in 8 bits."""
    for kind in WHITES:
        own = [colour for of, colour in census.colours if of == kind]
        if len({_as_bytes(kind, colour, census) for colour in own}) < len(own):
            raise UserError(
                f"The images of {'floats' if kind == 'f4' else '16 bits'} have the values "
                f"{listed([_shown(colour) for colour in sorted(own)], 5)} only, of which some are the same in 8 bits: "
                "store them in 8 bits, masks as 0 and 255."
            )


def _luminance(colour: Colour) -> tuple[float, Colour]:
    return float(np.dot(colour, (0.299, 0.587, 0.114))), colour


def _shown(colour: Colour) -> str:
    return f"{colour[0]:g}" if len(set(colour)) == 1 else f"({', '.join(f'{value:g}' for value in colour)})"
