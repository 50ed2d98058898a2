"""Small sets of images, and the folder of real data sets that JAXVAE_DATA may name."""

import contextlib
import gzip
import os
import resource
import struct
import time
import zlib
from collections.abc import Callable, Iterator
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


@pytest.fixture
def write_png() -> Callable[..., None]:
    """Writes a PNG file of 8 or 16 bits as its definition says, by hand: Pillow writes no colours of 16 bits."""

    def write(
        path: Path, x: np.ndarray, *, interlaced: bool = False, key: int | None = None, size: tuple = (), kind: int = -1
    ) -> None:
        height, width = size or x.shape[:2]
        kind = {1: 0, 2: 4, 3: 2, 4: 6}[x.shape[2]] if kind < 0 else kind
        steps = [(0, 0, 1, 1)]
        if interlaced:  # Adam7: first row, first column, and the steps between them
            steps = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
        passes = [x[i::rows, j::columns] for i, j, rows, columns in steps]
        raw = b"".join(b"\0" + row.astype(f">u{x.itemsize}").tobytes() for one in passes if one.size for row in one)
        head = struct.pack(">IIBBBBB", width, height, 8 * x.itemsize, kind, 0, 0, interlaced)
        extra = b"" if key is None else _chunk(b"tRNS", struct.pack(">H", key))
        chunks = _chunk(b"IHDR", head) + extra + _chunk(b"IDAT", zlib.compress(raw)) + _chunk(b"IEND", b"")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)

    return write


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.fixture
def resources() -> Callable[..., contextlib.AbstractContextManager]:
    """Asserts that what is done in it takes less than a second of the processor and 300 MB."""

    @contextlib.contextmanager
    def within(seconds: float = 1.0, megabytes: int = 300) -> Iterator[None]:
        start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            yield
        finally:
            assert time.process_time() - start < seconds  # others may be busy beside this
            assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000 < megabytes

    return within


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real data sets; tests that need it are skipped without."""
    if "JAXVAE_DATA" not in os.environ:
        pytest.skip("JAXVAE_DATA names no folder of real data sets")
    return Path(os.environ["JAXVAE_DATA"])
