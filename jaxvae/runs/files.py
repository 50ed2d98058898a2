"""The JSON files of a run, read whole and written whole or not at all; nothing here needs JAX."""

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxvae.errors import UserError

FORMAT = 2  # of `config.json`; version 0.1 wrote none
FUNCTIONS = "functions.json"  # in a folder of functions for other programs, which is none of a model


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
      UserError: if it is missing or broken.
    """
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): expected the folder of a run.") from error
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path} is not JSON ({error.msg} at line {error.lineno}): the run's folder is damaged."
        ) from error
    except (ValueError, RecursionError) as error:  # of bytes that are no text, of numbers of thousands of digits
        raise UserError(f"{path} is not JSON ({error}): the run's folder is damaged.") from error


def read_records(folder: Path) -> list[dict[str, Any]]:
    """Return the records of `metrics.jsonl`; lines that are damaged, or cut short by a crash, are left out."""
    path = folder / "metrics.jsonl"
    records = []
    for line in path.read_text(errors="replace").splitlines() if path.is_file() else []:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and type(record.get("step")) is int and record.get("part") in ("train", "valid"):
            # Numbers that were not finite are null in JSON; what is no number is damage.
            numbers = {name: float("nan") if value is None else value for name, value in record.items()}
            if all(isinstance(value, int | float) for name, value in numbers.items() if name != "part"):
                records.append(numbers)
    return records


def write_json(path: Path, record: Any) -> None:
    """Write a JSON file whole or not at all; numbers that are not finite, which JSON has not, become null.

    Raises:
      UserError: if the disk is full or the folder is read-only.
    """
    write_text(path, json.dumps(finite(record), indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
      UserError: if the disk is full or the folder is read-only.
    """
    temporary = path.with_suffix(".tmp")
    with writing(path.parent):
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)


def finite(record: Any) -> Any:
    """Return a value for JSON with None in place of every number that is not finite."""
    if isinstance(record, float):
        return record if math.isfinite(record) else None
    if isinstance(record, Mapping):
        return {key: finite(value) for key, value in record.items()}
    return [finite(value) for value in record] if isinstance(record, list | tuple) else record


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say of whatever cannot be written to a run's folder what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"The run's folder {folder} cannot be written ({error.strerror or error}): make room or allow writing and "
            "continue with resume=True or --resume, or choose another place."
        ) from error
