"""MNIST's own file layout: MNIST, Fashion-MNIST, KMNIST and whatever else is stored as four IDX files."""

import contextlib
import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.data.limits import check_packed, check_sides
from jaxvae.data.parts import take
from jaxvae.data.places import located
from jaxvae.errors import UserError
from jaxvae.types import Dataset

IMAGES, LABELS = 2051, 2049  # magic numbers: unsigned bytes, three axes or one


def load(folder: str | Path) -> dict[str, Dataset]:
    """Read `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-...` and `t10k-labels-...`.

    Each may end in `.gz`, and `train-images.idx3-ubyte` is understood as well. Label files may be missing.

    The validation set is the end of the training file, as in the code of Burda et al.: the last 400 of 60,000 images,
    and in proportion the last N/150 (at least one) of another number N.

    Args:
      folder: the folder with the files.

    Returns:
      "train", "valid" and "test", images [N, H, W] uint8 in the order of the files.

    Raises:
      UserError: if a file is missing, broken, or not what its name says.

    References:
      Burda, Grosse & Salakhutdinov, "Importance Weighted Autoencoders", 2016, arXiv:1509.00519.
    """
    folder = located(folder, "idx:")
    if not folder.is_dir():
        raise UserError(f"idx:{folder} is not a folder; give the folder that holds train-images-idx3-ubyte[.gz].")
    train, test = _pair(folder, "train"), _pair(folder, "t10k")
    num = len(train.x)
    if num < 2:
        raise UserError(f"idx:{folder} has {num} training images, at least 2 are needed to cut a validation set.")
    cut = num - max(1, round(num / 150))
    return {"train": take(train, slice(0, cut)), "valid": take(train, slice(cut, None)), "test": test}


def read(path: Path, magic: int) -> np.ndarray:
    """Read one IDX file of unsigned bytes, gzipped or not, as its first bytes tell.

    What the header claims is compared with the file before anything is allocated, and no more is unpacked.

    Args:
      path: the file.
      magic: the number that it must begin with, 2051 for images and 2049 for labels.

    Returns:
      uint8 array, [N, H, W] or [N].

    Raises:
      UserError: if it is damaged, of another kind, or too large.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if packed else contextlib.nullcontext(raw) as file:
                return _read(file, path, magic, path.stat().st_size, packed)
    except (OSError, EOFError, zlib.error, MemoryError) as error:
        raise UserError(f"{path} cannot be read ({error or 'too large'}); fetch the file again.") from error


# ---------- private


def _read(file: Any, path: Path, magic: int, size: int, packed: bool) -> np.ndarray:
    """The array of an open file of `size` bytes on disk."""
    head = file.read(4)
    found = int.from_bytes(head, "big")
    if len(head) < 4 or found != magic:
        what = "images" if magic == IMAGES else "labels"
        raise UserError(f"{path} begins with the number {found}, expected {magic} for an IDX file of {what}.")
    lengths = file.read(4 * (magic % 256))
    shape = tuple(int.from_bytes(lengths[i : i + 4], "big") for i in range(0, len(lengths), 4))
    before, expected = 4 + len(lengths), math.prod(shape)  # exact: a damaged header may hold huge lengths
    if not packed and size - before != expected:
        raise _other_length(path, f"{size}", before + expected, shape)
    if magic == IMAGES and len(shape) == 3:
        check_sides(*shape[1:], str(path))
    check_packed(expected, size, str(path))
    x = np.empty(expected, np.uint8)
    num = 0
    while num < expected and (got := file.readinto(memoryview(x)[num:])):
        num += got
    if num < expected:
        raise _other_length(path, f"{before + num}", before + expected, shape)
    if file.read(1):  # at the end of a gzip file this checks its sum
        raise _other_length(path, "more", before + expected, shape)
    return x.reshape(shape)


def _other_length(path: Path, found: str, expected: int, shape: tuple[int, ...]) -> UserError:
    return UserError(
        f"{path} holds {found} bytes, expected {expected} for its shape {list(shape)}; fetch the file again."
    )


def _pair(folder: Path, part: str) -> Dataset:
    images, labels = _find(folder, f"{part}-images", "idx3"), _find(folder, f"{part}-labels", "idx1")
    if images is None:
        raise UserError(
            f"{folder} has no {part}-images-idx3-ubyte[.gz]; MNIST's files of images and labels belong there."
        )
    x = read(images, IMAGES)
    y = None if labels is None else read(labels, LABELS)
    if y is not None and len(y) != len(x):
        raise UserError(f"{images} has {len(x)} images and {labels} {len(y)} labels, expected one label an image.")
    return Dataset(x, y)


def _find(folder: Path, stem: str, kind: str) -> Path | None:
    names = (f"{stem}{dot}{kind}-ubyte{end}" for dot in "-." for end in ("", ".gz"))
    return next((folder / name for name in names if (folder / name).is_file()), None)
