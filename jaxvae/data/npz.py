"""Images in one NumPy `.npz` file."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from jaxvae.errors import UserError
from jaxvae.types import Dataset

NAMES = {"train": ("train",), "valid": ("valid", "val", "validation"), "test": ("test",)}
ACCEPTED = "x_train / train_images / train_x / train, the same with valid and test, or images / x alone"


def load(path: str | Path) -> dict[str, Dataset]:
    """Read images and labels under the names that people give them.

    | part | images | labels (optional) |
    | --- | --- | --- |
    | P | `x_P`, `P_images`, `P_x` or `P` | `y_P`, `P_labels` or `P_y` |
    | all in one | `images` or `x` | `labels` or `y` |

    with `train`, `valid` (or `val`, `validation`) and `test` for P. Other keys are ignored. What is missing of `valid`
    and `test` is cut from the training images by a fixed seed, a tenth each: images alone give 80 %, 10 % and 10 %.

    Args:
      path: the file.

    Returns:
      "train" and, where the file has them, "valid" and "test", as stored.

    Raises:
      UserError: if the file is missing, broken, pickled, or has none of the names.
    """
    path = Path(path).expanduser()
    arrays = read_npz(path)
    parts = {}
    for part, spellings in NAMES.items():
        x = _first(arrays, [name for p in spellings for name in (f"x_{p}", f"{p}_images", f"{p}_x", p)])
        y = _first(arrays, [name for p in spellings for name in (f"y_{p}", f"{p}_labels", f"{p}_y")])
        if x is not None:
            parts[part] = Dataset(x, y)
    x = _first(arrays, ["images", "x"])
    if x is not None and not parts:
        parts["train"] = Dataset(x, _first(arrays, ["labels", "y"]))
    if "train" not in parts:
        raise UserError(f"{path} has the keys {', '.join(sorted(arrays)) or '(none)'}; expected {ACCEPTED}.")
    return parts


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of a `.npz` file; pickled objects are refused, since reading them would run their code."""
    if not path.is_file():
        raise UserError(f"{path} does not exist or is not a file; give the path of a .npz file.")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is not a whole .npz file; write it with np.savez, or fetch it again.")
    arrays = {}
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            for key in file.files:
                arrays[key] = file[key]
    except ValueError as error:
        if "pickle" in str(error):
            raise UserError(f"{path} holds pickled objects, which are refused; store plain numeric arrays.") from error
        raise UserError(f"{path} cannot be read ({error}); write it again with np.savez.") from error
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}); write it again with np.savez.") from error
    return arrays


def _first(arrays: dict[str, np.ndarray], names: list[str]) -> np.ndarray | None:
    return next((arrays[name] for name in names if name in arrays), None)
