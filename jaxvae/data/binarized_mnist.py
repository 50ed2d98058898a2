"""The static binarized MNIST of Larochelle and Murray: 50,000, 10,000 and 10,000 images, each pixel drawn once."""

from pathlib import Path

import numpy as np

from jaxvae.data.npz import read_npz
from jaxvae.data.parts import PARTS
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
    path = Path(path).expanduser()
    if path.is_dir() and not (path / "binarized_mnist.npz").is_file():
        rows = {part: read_amat(path / f"binarized_mnist_{part}.amat") for part in PARTS}
    else:
        path = path / "binarized_mnist.npz" if path.is_dir() else path
        arrays = read_npz(path)
        if missing := [part for part in PARTS if part not in arrays]:
            raise UserError(
                f"{path} has the keys {', '.join(sorted(arrays))} and lacks {', '.join(missing)}; "
                "binarized MNIST needs train, valid and test."
            )
        rows = {part: _unpack(arrays[part], f"{path}: {part}") for part in PARTS}
    return {part: Dataset(x, None) for part, x in rows.items()}


def read_amat(path: Path) -> np.ndarray:
    """Read text of 784 digits, 0 or 1, a line: [N, 28, 28] uint8."""
    try:
        raw = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); binarized_mnist: takes a .npz, or the folder of "
            "binarized_mnist_train.amat, binarized_mnist_valid.amat and binarized_mnist_test.amat."
        ) from error
    digits = raw[raw > ord(" ")] - np.uint8(ord("0"))  # all white space is below the digits; wraps for other signs
    if digits.size and digits.max() > 1:
        raise UserError(f"{path} holds other signs than 0 and 1; expected {SIDE**2} of them a line, apart by spaces.")
    if digits.size == 0 or digits.size % SIDE**2:
        raise UserError(f"{path} holds {digits.size} pixels, expected a multiple of {SIDE**2}; fetch the file again.")
    return digits.reshape(-1, SIDE, SIDE)


def _unpack(rows: np.ndarray, name: str) -> np.ndarray:
    if rows.ndim == 2 and rows.shape[1] == SIDE**2 // 8 and rows.dtype == np.uint8:
        return np.unpackbits(rows, axis=1).reshape(-1, SIDE, SIDE)
    if rows.ndim < 2 or rows[:1].size != SIDE**2:
        raise UserError(
            f"{name} has shape {list(rows.shape)}, expected rows of {SIDE**2} pixels or of {SIDE**2 // 8} packed bytes."
        )
    if not np.isin(rows, (0, 1)).all():
        raise UserError(f"{name} holds other values than 0 and 1; use npz: or idx: for grey images.")
    return rows.reshape(-1, SIDE, SIDE).astype(np.uint8, copy=False)
