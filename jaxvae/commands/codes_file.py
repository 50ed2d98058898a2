"""Codes of images as CSV, NPZ or NPY files, and back.

| file | vectors of latents | grids of codes |
| --- | --- | --- |
| .csv | path, z0, z1, ..., sd0, sd1, ... | path, c0, c1, ..., row by row |
| .npz | paths, means [N, D], stds [N, D] | paths, codes [N, h, w] |
| .npy | means [N, D] | codes [N, h, w] |

Of several groups of latents, or grids, the names have their number: z0_0, z1_0, means_0, codes_1. Of a model that is
conditional on classes there are labels too: label, labels.
"""

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvae.commands.output import ending
from jaxvae.commands.pictures import numbered
from jaxvae.data.npz import read_npz
from jaxvae.errors import UserError

ENDINGS = (".csv", ".npz", ".npy")
COLUMN = re.compile(r"([zc])(?:(\d+)_)?(\d+)")


class Table(NamedTuple):
    """Codes of N images."""

    names: Sequence[str]
    parts: tuple[np.ndarray, ...]  # posterior means [N, D] of every group of latents, or grids [N, h, w]
    stds: tuple[np.ndarray, ...] = ()  # of the posterior, where it is a Gaussian
    discrete: bool = False  # whether the parts are grids of codes
    labels: np.ndarray | None = None  # [N], of a model that is conditional on classes


def write_codes(path: Path, table: Table) -> str:
    """Write codes in the format that the file's name ends in.

    Returns:
      What to say of what the format has no place for.

    Raises:
      UserError: if the format has no place for the codes.
    """
    if path.suffix == ".npy":
        if len(table.parts) > 1:
            raise UserError(f"There are {len(table.parts)} arrays of codes, a .npy file is of one: write .npz or .csv.")
        np.save(path, table.parts[0])
        return f", without their paths{' and standard deviations' if table.stds else ''}, which .npz and .csv have"
    if path.suffix == ".npz":
        arrays: dict[str, Any] = {"paths": np.asarray(table.names)}
        arrays |= _named("codes" if table.discrete else "means", table.parts) | _named("stds", table.stds)
        arrays |= {} if table.labels is None else {"labels": table.labels}
        np.savez_compressed(path, **arrays)
        return ""
    kinds = ("c" if table.discrete else "z", table.parts), ("sd", table.stds)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        classes = [] if table.labels is None else [table.labels]
        columns = [column for letter, parts in kinds for column in _columns(letter, parts)]
        writer.writerow(["path", *(["label"] if classes else []), *columns])
        flat = [part.reshape(len(part), -1) for _, parts in kinds for part in parts]
        first = zip(table.names, *classes, strict=True)
        for begin, *rows in zip(first, *flat, strict=True):
            writer.writerow([*begin, *(f"{value:.9g}" for row in rows for value in row)])
    return ""


def read_codes(path: Path, shapes: Sequence[tuple[int, ...]]) -> Table:
    """Read codes that `write_codes` wrote, or that were made by hand in the same way.

    Args:
      path: of the file.
      shapes: of the codes of one image, as `jaxvae.applications.encoding.code_shapes` gives them.

    Returns:
      The codes, as the file has them: whether they are codes of the model is for `Trained.decode` to say.

    Raises:
      UserError: if the file is missing, damaged, or has no codes.
    """
    try:
        if ending(path) == ".npz":
            return _of_npz(path)
        if ending(path) == ".npy":
            codes = np.load(path, allow_pickle=False)
            return Table(numbered(len(codes)), (codes,)) if codes.ndim else _of_nothing(path)
        if ending(path) == ".csv":
            return _of_csv(path, shapes)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): expected what encode wrote.") from error
    except (ValueError, csv.Error) as error:
        raise (
            error
            if isinstance(error, UserError)
            else UserError(f"{path} is damaged or something else ({error}): expected what encode wrote.")
        ) from error
    raise UserError(f"{path} has no codes: expected a file that encode wrote, {', '.join(ENDINGS)}.")


# ---------- private


def _named(name: str, parts: Sequence[np.ndarray]) -> dict[str, Any]:
    if len(parts) == 1:
        return {name: parts[0]}
    return {f"{name}_{i}": part for i, part in enumerate(parts)}


def _columns(letter: str, parts: Sequence[np.ndarray]) -> list[str]:
    """The names of the columns of all parts: c0, c1, ..., or c0_0, c0_1, ... of several."""
    sizes = [math.prod(part.shape[1:]) for part in parts]
    if len(parts) == 1:
        return [f"{letter}{i}" for i in range(sizes[0])]
    return [f"{letter}{part}_{i}" for part, size in enumerate(sizes) for i in range(size)]


def _of_nothing(path: Path) -> Table:
    raise UserError(f"{path} has no codes of images: expected paths with means or codes, as encode writes them.")


def _of_npz(path: Path) -> Table:
    arrays = read_npz(path)
    for name in ("codes", "means"):
        found = sorted(key for key in arrays if re.fullmatch(rf"{name}(_\d+)?", key))
        if found:
            parts = tuple(arrays[key] for key in sorted(found, key=lambda key: (len(key), key)))
            num = len(parts[0]) if parts[0].ndim else 0
            names = arrays["paths"].tolist() if "paths" in arrays else numbered(num)
            if len(names) != num:
                raise UserError(f"{path} has {num} codes and {len(names)} paths: expected one path for each.")
            found = [str(name) for name in names]
            return Table(found, parts, discrete=name == "codes", labels=arrays.get("labels"))
    return _of_nothing(path)


def _of_csv(path: Path, shapes: Sequence[tuple[int, ...]]) -> Table:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    header = rows[0] if rows else []
    columns = [i for i, name in enumerate(header) if COLUMN.fullmatch(name)]
    if not columns or len(rows) < 2:
        return _of_nothing(path)
    sizes = [math.prod(shape) for shape in shapes]
    if len(columns) not in (sum(sizes), sizes[0]):
        raise UserError(f"{path} has {len(columns)} numbers for an image, the model's codes have {sum(sizes)}.")
    discrete = header[columns[0]].startswith("c")
    values = np.zeros((len(rows) - 1, len(columns)), np.int64 if discrete else np.float32)
    for number, row in enumerate(rows[1:]):
        try:
            values[number] = [(int if discrete else float)(row[column]) for column in columns]
        except (ValueError, IndexError) as error:
            raise UserError(f"{path} has a line {number + 2} without a number in each column: {error}.") from error
    ends = np.cumsum(sizes if len(columns) > sizes[0] else sizes[:1])
    parts = [
        part.reshape(len(part), *shape) for part, shape in zip(np.split(values, ends[:-1], 1), shapes, strict=False)
    ]
    names = [row[header.index("path")] for row in rows[1:]] if "path" in header else numbered(len(values))
    labels = np.array([int(row[header.index("label")]) for row in rows[1:]]) if "label" in header else None
    return Table(names, tuple(parts), discrete=discrete, labels=labels)
