"""Grids of codes on disk: one memory-mapped array of integers a part of the data, and what it takes to read it.

A folder holds `codes.npy`, [N, L], all grids of an image in raster order one after another, the coarsest first;
`codes.json`, whose codec made them and how they are cut; and `labels.npy`, where there are labels. It is written a
batch at a time, and a writer that was stopped goes on where it was.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvae.data.batches import padded_batches
from jaxvae.data.digest import dataset_digest
from jaxvae.errors import UserError
from jaxvae.types import Array, Batch, Dataset

Shapes = tuple[tuple[int, ...], ...]


class CodeGrids(NamedTuple):
    """The codes of a data set."""

    dataset: Dataset  # x [N, L], memory-mapped
    shapes: Shapes  # of the grids of one image, (h, w) or (h, w, G) each
    num_codes: tuple[int, ...]  # K of each
    codec: str  # fingerprint of the codec


def encode_dataset(
    folder: Path,
    dataset: Dataset,
    encode: Callable[[int, Batch], tuple[Array, ...]],
    *,
    shapes: Shapes,
    num_codes: tuple[int, ...],
    codec: str,
    batch_size: int,
    progress: Callable[[int], Any] | None = None,
) -> CodeGrids:
    """Write the codes of a data set, or what is missing of them, and return them.

    Args:
      folder: made here.
      dataset: N images.
      encode: (row of the first image, batch) -> grids [B, *shape].
      shapes: of the grids of one image.
      num_codes: K of each grid.
      codec: fingerprint of what encodes: codes of another one mean other images.
      batch_size: images at a time; the last batch is padded.
      progress: called with the number of images that were encoded, batch by batch.

    Returns:
      The codes.

    Raises:
      UserError: if the folder has the codes of other images or of another codec, or cannot be written.
    """
    num, length = len(dataset.x), sum(map(math.prod, shapes))
    meta = {
        "num": num,
        "shapes": [list(shape) for shape in shapes],
        "num_codes": list(num_codes),
        "codec": codec,
        "images": dataset_digest(dataset),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        done = _done(folder, meta)
        if done == 0:
            if dataset.labels is not None:
                np.save(folder / "labels.npy", np.asarray(dataset.labels, np.int32))
            dtype = np.uint16 if max(num_codes) <= 2**16 else np.int32
            codes = np.lib.format.open_memmap(folder / "codes.npy", "w+", dtype, (num, length))
            _reserve(folder / "codes.npy")
            _write_meta(folder, {**meta, "done": 0})
        else:
            _read(folder / "codes.npy")
            codes = np.lib.format.open_memmap(folder / "codes.npy", "r+")
        for start, batch in padded_batches(dataset, batch_size):
            if min(start + batch_size, num) <= done:
                continue
            grids = encode(start, batch)
            size = int(np.sum(batch.mask))
            rows = np.concatenate([np.asarray(grid).reshape(batch_size, -1) for grid in grids], axis=1)
            codes[start : start + size] = rows[:size]
            codes.flush()
            _write_meta(
                folder, {**meta, "done": start + size} | ({"sha256": _hash(folder)} if start + size == num else {})
            )
            if progress is not None:
                progress(size)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"The codes {folder} cannot be written ({reason}): make room or allow writing.") from error
    return load_codes(folder)


def load_codes(folder: Path) -> CodeGrids:
    """Open the codes of a folder.

    Raises:
      UserError: if there are none, they are unfinished or cut short.
    """
    meta = _read_meta(folder)
    if meta is None:
        raise UserError(f"There are no codes in {folder}, expected codes.json: encode the images first.")
    if meta["done"] < meta["num"]:
        raise UserError(f"{folder} has codes of {meta['done']} of {meta['num']} images: encode the rest first.")
    if meta["sha256"] not in (None, _hash(folder)):
        raise UserError(f"The codes in {folder} are not what was written, they are damaged: delete it to encode anew.")
    labels = folder / "labels.npy"
    dataset = Dataset(_read(folder / "codes.npy"), np.asarray(_read(labels)) if labels.exists() else None)
    return CodeGrids(dataset, tuple(map(tuple, meta["shapes"])), tuple(meta["num_codes"]), meta["codec"])


def split_grids(codes: Any, shapes: Shapes) -> tuple[Any, ...]:
    """Cut rows of codes into grids: [B, L] -> [B, *shape] each."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    return tuple(
        codes[:, end - math.prod(shape) : end].reshape(len(codes), *shape)
        for shape, end in zip(shapes, ends, strict=True)
    )


# ---------- private


def _done(folder: Path, meta: dict[str, Any]) -> int:
    """Images that are encoded already."""
    before = _read_meta(folder)
    if before is None:
        return 0
    names = {"num": "images numbering", "shapes": "grids of", "num_codes": "codebooks of", "codec": "the codec"}
    for field, name in names.items():
        if before[field] != meta[field]:
            raise UserError(
                f"{folder} has codes of {name} {before[field]}, now it is {meta[field]}: choose another --name, or "
                "delete the folder to encode anew."
            )
    if before["images"] not in (None, meta["images"]):
        raise UserError(
            f"{folder} has codes of other images, as many of the same shape: choose another --name, or delete the "
            "folder to encode anew."
        )
    return before["done"]


def _reserve(path: Path) -> None:
    """Take the room on the disk that a file needs: writing to the memory of a full one would end the process."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _hash(folder: Path) -> str:
    """Of all that is there of codes and labels."""
    digest = hashlib.sha256()
    for path in (folder / "codes.npy", folder / "labels.npy"):
        if path.exists():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _read(path: Path) -> np.ndarray:
    """An array, memory-mapped, if the file is as long as it says."""
    try:
        return np.load(path, mmap_mode="r")
    except Exception as error:  # NumPy's reader of headers raises many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"{path} is missing, damaged or cut short ({reason}): delete {path.parent} to encode anew."
        ) from error


def _read_meta(folder: Path) -> dict[str, Any] | None:
    path = folder / "codes.json"
    if not path.exists():
        return None
    try:
        meta = json.loads(path.read_text())
        known = {name: meta[name] for name in ("num", "shapes", "num_codes", "codec", "done")}
        if not (isinstance(known["num"], int) and isinstance(known["done"], int)):
            raise ValueError("num and done are no numbers")
        return {**known, "images": meta.get("images"), "sha256": meta.get("sha256")}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): delete {folder} to encode anew.") from error


def _write_meta(folder: Path, meta: dict[str, Any]) -> None:
    """Whole or not at all."""
    temporary = folder / "codes.tmp"
    temporary.write_text(json.dumps(meta) + "\n")
    os.replace(temporary, folder / "codes.json")
