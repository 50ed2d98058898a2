"""The static binarized MNIST of Larochelle and Murray: 50,000, 10,000 and 10,000 images, each pixel drawn once."""

from pathlib import Path

import numpy as np

from jaxvae.data.limits import check_memory
from jaxvae.data.npz import keys_of, read_npz
from jaxvae.data.parts import PARTS
from jaxvae.data.places import located
from jaxvae.errors import UserError
from jaxvae.types import Dataset

SIDE = 28


def load(path: str | Path) -> dict[str, Dataset]:
    """Read the set from one `.npz`, or from the three original text files.

    Args:
      path: a `.npz` with the keys `train`, `valid` and `test`, rows of 784 pixels, of 98 bytes that hold them bit by
        bit (`np.packbits(x, axis=1)`), or images [N, 28, 28]; or a folder that holds `binarized_mnist.npz` or
        `binarized_mnist_train.amat`, `..._valid.amat` and `..._test.amat`.

    Returns:
      "train", "valid" and "test", images [N, 28, 28] uint8 {0, 1}; the set has no labels.

    Raises:
      UserError: if a file is missing, broken, or holds something else.

    References:
      Salakhutdinov & Murray, "On the Quantitative Analysis of Deep Belief Networks", 2008.
      Larochelle & Murray, "The Neural Autoregressive Distribution Estimator", 2011.
    """
    path = located(path, "binarized_mnist:")
    if path.is_dir() and not (path / "binarized_mnist.npz").is_file():
        rows = {part: read_amat(path / f"binarized_mnist_{part}.amat") for part in PARTS}
    else:
        path = path / "binarized_mnist.npz" if path.is_dir() else path
        keys = keys_of(path)
        if missing := [part for part in PARTS if part not in keys]:
            raise UserError(
                f"{path} has the keys {', '.join(sorted(keys))} and lacks {', '.join(missing)}; "
                "binarized MNIST needs train, valid and test."
            )
        arrays = read_npz(path, PARTS)
        rows = {part: _unpack(arrays[part], f"{path}: {part}") for part in PARTS}
    return {part: Dataset(x, None) for part, x in rows.items()}


def read_amat(path: Path) -> np.ndarray:
    """Read text of 784 digits, 0 or 1, a line, apart by spaces: [N, 28, 28] uint8."""
    if not path.is_file():
        raise UserError(
            f"{path} cannot be read (no such file); binarized_mnist: takes a .npz, or the folder of "
            "binarized_mnist_train.amat, binarized_mnist_valid.amat and binarized_mnist_test.amat."
        )
    check_memory(4 * path.stat().st_size, str(path))
    try:
        raw = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); fetch the file again.") from error
    is_digit = raw > ord(" ")  # all white space is below the digits
    digits = raw[is_digit] - np.uint8(ord("0"))  # wraps for other signs
    if digits.size and digits.max() > 1:
        raise UserError(f"{path} holds other signs than 0 and 1; expected {SIDE**2} of them a line, apart by spaces.")
    if (is_digit[1:] & is_digit[:-1]).any():
        raise UserError(f"{path} holds numbers of several digits; expected {SIDE**2} of 0 and 1 a line.")
    ends = np.append(np.flatnonzero(raw == ord("\n")), len(raw))
    lengths = np.diff(np.searchsorted(np.flatnonzero(is_digit), ends), prepend=0)
    line, length = next(((i + 1, int(num)) for i, num in enumerate(lengths) if num not in (0, SIDE**2)), (0, 0))
    if line:
        raise UserError(f"{path} has {length} pixels in line {line}, expected {SIDE**2}; fetch the file again.")
    if not digits.size:
        raise UserError(f"{path} holds 0 pixels, expected {SIDE**2} a line; fetch the file again.")
    return digits.reshape(-1, SIDE, SIDE)


def _unpack(rows: np.ndarray, name: str) -> np.ndarray:
    if rows.ndim == 2 and rows.shape[1] == SIDE**2 // 8 and rows.dtype == np.uint8:
        return np.unpackbits(rows, axis=1).reshape(-1, SIDE, SIDE)
    if rows.ndim < 2 or rows[:1].size != SIDE**2:
        raise UserError(
            f"{name} has shape {list(rows.shape)}, expected rows of {SIDE**2} pixels or of {SIDE**2 // 8} packed bytes."
        )
    if rows.dtype.kind not in "buif" or not np.isin(rows, (0, 1)).all():
        raise UserError(f"{name} holds other values than 0 and 1; use npz: or idx: for grey images.")
    return rows.reshape(-1, SIDE, SIDE).astype(np.uint8, copy=False)
