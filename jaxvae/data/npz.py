"""Images in one NumPy `.npz` file."""

import math
import os
import zipfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.data.limits import check_packed
from jaxvae.data.notices import counted, listed, notice
from jaxvae.data.part_names import PART_NAMES
from jaxvae.data.places import located
from jaxvae.errors import UserError
from jaxvae.types import Dataset

ACCEPTED = "x_train / train_images / train_x / train, the same with valid and test, or images / x alone"

LONGEST_END = 2**16 + 22  # bytes of a zip file after its list


def load(path: str | Path) -> dict[str, Dataset]:
    """Read images and labels under the names that people give them, in any case of letters.

    | part | images | labels (optional) |
    | --- | --- | --- |
    | P | `x_P`, `P_images`, `P_x` or `P` | `y_P`, `P_labels` or `P_y` |
    | all in one | `images` or `x` | `labels` or `y` |

    with `train`, `valid` and `test` for P (or `training`, `val`, `validation`, `dev`, `testing`). Other keys are named.
    What is missing of `valid` and `test` is cut from the training images by a fixed seed, a tenth each: images alone
    give 80 %, 10 % and 10 %.

    Args:
      path: the file.

    Returns:
      "train" and, where the file has them, "valid" and "test", as stored.

    Raises:
      UserError: if the file is missing, damaged, too large, pickled, has none of the names, or two for the same.
    """
    path = located(path, "npz:")
    keys = keys_of(path)
    names: dict[str, tuple[str, str | None]] = {}  # of images and labels, by part
    for part, spellings in PART_NAMES.items():
        images = _key(keys, [name for p in spellings for name in (f"x_{p}", f"{p}_images", f"{p}_x", p)], path)
        labels = _key(keys, [name for p in spellings for name in (f"y_{p}", f"{p}_labels", f"{p}_y")], path)
        if images is not None:
            names[part] = (images, labels)
    if not names and (images := _key(keys, ["images", "x"], path)):
        names["train"] = (images, _key(keys, ["labels", "y"], path))
    if "train" not in names:
        raise UserError(f"{path} has the keys {', '.join(sorted(keys)) or '(none)'}; expected {ACCEPTED}.")
    used = {key for pair in names.values() for key in pair if key is not None}
    if unused := sorted(set(keys) - used):
        notice(f"npz:{path}: {counted(len(unused), 'key is', 'keys are')} not read: {listed(unused)}.")
    arrays = read_npz(path, used)
    return {part: Dataset(arrays[x], None if y is None else arrays[y]) for part, (x, y) in names.items()}


def keys_of(path: Path) -> list[str]:
    """Return the names of the arrays of a `.npz` file, with the errors of `read_npz`."""
    if not os.path.isfile(path):  # no error of a path that no file can have
        raise UserError(f"{path} does not exist or is not a file; give the path of a .npz file.")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is not a whole .npz file; write it with np.savez, or fetch it again.")
    return _opened(path, lambda file: _keys(file, path))


def read_npz(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Read arrays of a `.npz` file; pickled objects are refused, since reading them would run their code.

    What a header claims is compared with the file before anything is allocated.

    Args:
      path: the file.
      names: of the arrays; all by default.

    Returns:
      The arrays, by name.

    Raises:
      UserError: if the file is missing, damaged, too large or pickled.
    """
    chosen = [name for name in keys_of(path) if names is None or name in names]
    return _opened(path, lambda file: {name: _read(file, name, path) for name in chosen})


# ---------- private


def _opened(path: Path, read: Any) -> Any:
    """What a function gives of an open file, or one sentence."""
    try:
        with path.open("rb") as raw, zipfile.ZipFile(raw) as file:
            return read(file)
    except UserError:
        raise
    except Exception as error:  # zipfile and numpy fail in about every way on damaged files
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise UserError(f"{path} cannot be read ({reason}); write it again with np.savez.") from error


def _keys(file: zipfile.ZipFile, path: Path) -> list[str]:
    """The names of all arrays; a damaged list of them would leave some out without a word."""
    for info in file.infolist():
        file.open(info).close()  # which compares the name in the list with that beside the array
    tail = np.fromfile(path, np.uint8, offset=max(0, path.stat().st_size - LONGEST_END)).tobytes()
    end = tail.rindex(b"PK\x05\x06")
    num = int.from_bytes(tail[end + 10 : end + 12], "little")
    if num not in (len(file.infolist()), 2**16 - 1):  # the latter where there are more
        raise zipfile.BadZipFile(f"it lists {len(file.infolist())} of {num} arrays")
    return [key.removesuffix(".npy") for key in file.namelist()]


def _read(file: zipfile.ZipFile, name: str, path: Path) -> np.ndarray:
    """One array, whose header tells no more than there is."""
    info = file.NameToInfo.get(f"{name}.npy") or file.getinfo(name)
    with file.open(info) as member:
        version = np.lib.format.read_magic(member)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            raise UserError(f"{path}: {name} is of version {version} of NumPy's format; write it again with np.savez.")
        shape, _, dtype = readers[version](member)
        if dtype.hasobject:
            raise UserError(f"{path}: {name} holds pickled objects, which are refused; store plain numeric arrays.")
        size, before = math.prod(shape) * dtype.itemsize, member.tell()
        is_short = info.compress_type == zipfile.ZIP_STORED and info.file_size > path.stat().st_size
        if dtype.itemsize == 0 or before + size != info.file_size or is_short:
            raise UserError(
                f"{path}: {name} has {info.file_size - before:,} bytes, expected {size:,} for its shape {list(shape)} "
                f"of {dtype}; write it again with np.savez."
            )
    check_packed(size, min(info.compress_size, path.stat().st_size), f"{path}: {name}")
    with file.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _key(keys: Iterable[str], names: Collection[str], path: Path) -> str | None:
    """The one of some names that a file has, in any case of letters."""
    found = [key for key in keys if key.lower() in names]
    if len(found) > 1:
        raise UserError(f"{path} has {' and '.join(found)}, which mean the same: keep one.")
    return found[0] if found else None
