"""MNIST's own file layout: MNIST, Fashion-MNIST, KMNIST and whatever else is stored as four IDX files."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from jaxvae.data.parts import take
from jaxvae.errors import UserError
from jaxvae.types import Dataset

IMAGES, LABELS = 2051, 2049  # magic numbers: unsigned bytes, three axes or one


def load(folder: str | Path) -> dict[str, Dataset]:
    """Read `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-...` and `t10k-labels-...`.

    Each may end in `.gz`, and `train-images.idx3-ubyte` is understood as well. Label files may be missing.

    The validation part is the end of the training file, as in the code of Burda et al.: the last 400 of 60,000 images,
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
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise UserError(f"idx:{folder} is not a folder; give the folder that holds train-images-idx3-ubyte[.gz].")
    train, test = _pair(folder, "train"), _pair(folder, "t10k")
    num = len(train.x)
    if num < 2:
        raise UserError(f"idx:{folder} has {num} training images, at least 2 are needed to cut a validation part.")
    cut = num - max(1, round(num / 150))
    return {"train": take(train, slice(0, cut)), "valid": take(train, slice(cut, None)), "test": test}


def read(path: Path, magic: int) -> np.ndarray:
    """Read one IDX file of unsigned bytes, gzipped or not.

    Args:
      path: the file; `.gz` at its end decides whether it is unpacked.
      magic: the number that it must begin with, 2051 for images and 2049 for labels.

    Returns:
      uint8 array, [N, H, W] or [N].
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}); fetch the file again.") from error
    num_axes = magic % 256
    found = int.from_bytes(raw[:4], "big")
    if len(raw) < 4 or found != magic:
        what = "images" if magic == IMAGES else "labels"
        raise UserError(f"{path} begins with the number {found}, expected {magic} for an IDX file of {what}.")
    header = 4 + 4 * num_axes
    shape = tuple(int.from_bytes(raw[i : i + 4], "big") for i in range(4, header, 4))
    size = int(np.prod(shape, dtype=object))  # exact: a damaged header may hold huge lengths
    if len(raw) != header + size:
        raise UserError(
            f"{path} holds {len(raw)} bytes, expected {header + size} for its shape {list(shape)}; "
            "fetch the file again."
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)


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
