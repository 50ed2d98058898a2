"""Small sets of images, and the folder of real data sets that JAXVAE_DATA may name."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def grey(rng: np.random.Generator) -> np.ndarray:
    """[20, 6, 5] uint8, every image different."""
    return rng.integers(0, 256, (20, 6, 5)).astype(np.uint8)


@pytest.fixture
def save_npz(tmp_path: Path) -> Callable[..., str]:
    """Saves arrays and gives the source's name."""

    def save(**arrays: np.ndarray) -> str:
        np.savez(tmp_path / "set.npz", **arrays)
        return f"npz:{tmp_path / 'set.npz'}"

    return save


@pytest.fixture
def write_idx() -> Callable[..., None]:
    """Writes an IDX file as its definition says, by hand."""

    def write(path: Path, array: np.ndarray, magic: int | None = None, cut: int = 0) -> None:
        magic = 2048 + array.ndim if magic is None else magic
        head = magic.to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in array.shape)
        raw = head + array.astype(np.uint8).tobytes()
        raw = raw[: len(raw) - cut]
        path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)

    return write


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real data sets; tests that need it are skipped without."""
    if "JAXVAE_DATA" not in os.environ:
        pytest.skip("JAXVAE_DATA names no folder of real data sets")
    return Path(os.environ["JAXVAE_DATA"])
