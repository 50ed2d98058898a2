"""What must be known of all images of a folder before the first is brought to 8 bits and made small."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxvae.data.colours import Binary, Census, binary, to_binary, to_bytes
from jaxvae.data.decode import Header, header, pixels
from jaxvae.data.limits import check_memory
from jaxvae.data.notices import counted, listed, notice
from jaxvae.errors import UserError
from jaxvae.progress import progress

LARGEST_KEPT, SMALL = 64, 28  # pixels
DARK = 2**13  # 16-bit images that stay below have their values in fewer bits


class Model(NamedTuple):
    """What a trained model takes."""

    shape: tuple[int, int, int]  # (H, W, C) of its images
    binary: bool  # whether they are black and white
    resize: bool  # whether images are brought to that height and width, or refused

    @property
    def wanted_size(self) -> tuple[int, int] | None:
        """Height and width that images are brought to, None of images that are taken as they are."""
        return self.shape[:2] if self.resize else None


class Survey(NamedTuple):
    """How all images of a set are read."""

    size: tuple[int, int]  # (H, W) that all have in the end
    census: Census  # of their colours
    binary: Binary | None  # how they become zeros and ones; None of images that are not binary


def survey(
    paths: Sequence[Path], image_size: int | None, model: Model | None = None, default_size: int = SMALL
) -> Survey:
    """Look at the headers of all files, and at the pixels for as long as all may be grey or binary.

    Args:
      paths: of the images.
      image_size: side in pixels that all are to be resized to; None keeps their size up to 64 pixels.
      model: that is to take them; its own size then stands for that, and images become zeros and ones for a model of
        these alone. None of images to train on.
      default_size: side in pixels that larger ones are brought to without an image size.

    Returns:
      How they are to be read.

    Raises:
      UserError: if one is damaged or too large, all together are, sizes differ without an image size, or values would
        be lost.
    """
    headers = [header(path) for path in progress(paths, "looking at images")]
    size = _size(paths, headers, image_size, default_size) if model is None else _size_of_model(paths, headers, model)
    check_memory(len(paths) * size[0] * size[1], counted(len(paths), "image"))
    _say_what_headers_say(paths, headers)
    census = Census()
    for path, head in progress(list(zip(paths, headers, strict=True)), "looking at pixels"):
        if census.few or head.wide or (census.grey and head.mode not in ("1", "L")):
            census.add(pixels(path))
    _say_how_values_are_scaled(census)
    found = binary(census) if model is None or model.binary else None
    num_channels = 1 if census.grey or found else 3
    check_memory(len(paths) * size[0] * size[1] * num_channels, counted(len(paths), "image"))
    return Survey(size, census, found)


def read(path: Path, found: Survey) -> np.ndarray:
    """Return one image of a set in the size of its file, [H, W, C] uint8; zeros and ones of binary images."""
    x = pixels(path)
    if found.binary is not None:
        return to_binary(x, found.census, found.binary)
    x = to_bytes(x, found.census.wide, found.census.floats)
    return x if found.census.grey else np.broadcast_to(x, (*x.shape[:2], 3))


# ---------- private


def _size(
    paths: Sequence[Path], headers: Sequence[Header], image_size: int | None, default_size: int
) -> tuple[int, int]:
    """The size (H, W) that all images are brought to."""
    if image_size is not None:
        return image_size, image_size
    sizes: dict[tuple[int, int], Path] = {}
    for path, head in zip(paths, headers, strict=True):
        sizes.setdefault(head.size, path)
    if len(sizes) > 1:
        (h1, w1), (h2, w2), *_ = sizes
        first, other, *_ = sizes.values()
        raise UserError(
            f"{first} is {w1}x{h1} pixels and {other} is {w2}x{h2}; pass --image-size N to bring all to NxN."
        )
    height, width = next(iter(sizes))
    if max(height, width) <= LARGEST_KEPT:
        return height, width
    notice(
        f"the images are {width}x{height} pixels, more than {LARGEST_KEPT}, and are resized to "
        f"{default_size}x{default_size}: --image-size N chooses another size."
    )
    return default_size, default_size


def _size_of_model(paths: Sequence[Path], headers: Sequence[Header], model: Model) -> tuple[int, int]:
    """The size (H, W) of a model's images, which others have to be brought to."""
    height, width, _ = model.shape
    others = [(path, head.size) for path, head in zip(paths, headers, strict=True) if head.size != (height, width)]
    if others and not model.resize:
        path, (h, w) = others[0]
        raise UserError(
            f"{path} is {w}x{h} pixels, the model is of {width}x{height}: pass --resize to bring all images there."
        )
    return height, width


def _say_what_headers_say(paths: Sequence[Path], headers: Sequence[Header]) -> None:
    several = [path for path, head in zip(paths, headers, strict=True) if head.frames > 1]
    if several:
        others = sum(head.frames - 1 for head in headers)
        notice(
            f"{counted(len(several), 'file has', 'files have')} several frames or pages, of which the first is read "
            f"and {counted(others, 'other is', 'others are')} not: {listed(several)}."
        )
    doubtful = [path for path, head in zip(paths, headers, strict=True) if head.doubtful]
    if doubtful:
        notice(f"the camera's notes are damaged, so that images may lie on their side: {listed(doubtful)}.")


def _say_how_values_are_scaled(census: Census) -> None:
    if census.unit and census.most["f4"] > 1:
        raise UserError(
            f"Some images have floats from 0 to 1, others up to {census.most['f4']:g}: store all in one way."
        )
    most = int(census.most["u2"])
    if most and census.wide == 1:
        notice(f"the images of 16 bits have no value above {most}: they are read as images of 8 bits.")
    elif most and most < DARK:
        notice(f"the images of 16 bits have no value above {most} of 65535 and are dark: scale them if this is white.")
    elif census.low and not census.masks:
        notice(
            f"{counted(census.low, 'image')} of 16 bits {'has' if census.low == 1 else 'have'} no value above 255, "
            f"others up to {most}: black beside them."
        )
