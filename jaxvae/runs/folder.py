"""A run's folder: `config.json`, `metrics.jsonl`, TensorBoard events, `checkpoints/`, `figures/`, `summary.json`."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jaxvae.errors import UserError
from jaxvae.training import distributed
from jaxvae.types import DataSpec

# What may differ when a run is resumed: all else changes the model, the data or the optimizer.
FREE_FIELDS = frozenset({"steps", "log_every", "eval_every", "patience", "nll_samples"})
COMPARED = ("experiment", "config", "spec", "num_train", "init_from", "stage")  # of `config.json`, when it is resumed


def open_folder(folder: Path, record: dict[str, Any], resume: bool, free: frozenset[str] = FREE_FIELDS) -> None:
    """Make the folder of a new run, or check that a resumed one is the same; nothing is written there yet.

    Args:
      folder: of the run.
      record: what `config.json` would say of what is asked for now.
      resume: whether the folder has to exist, or must not.
      free: fields of the configuration that may differ.

    Raises:
      UserError: if it exists and is not resumed, is resumed and does not exist or is another run, or cannot be made.
    """
    path = folder / "config.json"
    if not resume:
        try:
            (folder / "figures").mkdir(parents=True)
        except FileExistsError as error:
            if path.exists() or (folder / "checkpoints").exists():  # else a process was ended while it began
                raise UserError(
                    f"The run {folder} exists already: pass --resume to continue it, or another --name."
                ) from error
        except OSError as error:
            raise UserError(f"The run {folder} cannot be made ({error.strerror}): choose another --out.") from error
        return
    if not path.exists():
        found = ", ".join(sorted(other.parent.name for other in folder.parent.glob("*/config.json"))) or "none"
        raise UserError(f"There is no run {folder} to resume; runs there: {found}.")
    before = read_json(path)
    for name, old, now in _settings(before, {key: record[key] for key in COMPARED if key in record}):
        if old != now and name not in free:
            raise UserError(
                f"The run {folder} was started with {_said(name, old)}, now it is {now}: resume it with the old value, "
                "or start another run with another --name."
            )


def _settings(before: dict[str, Any], record: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name of every setting with its old and its new value; what an older version did not write is equal."""
    for field, now in record.items():
        old = before.get(field, now)
        if isinstance(now, dict) and isinstance(old, dict):
            yield from _settings(old, now)
        else:
            yield field, old, now


def _said(name: str, value: Any) -> str:
    names = {"experiment": "the experiment", "num_train": "training images numbering"}
    if name in DataSpec._fields:
        return f"data of {name} {value}"
    return f"{names.get(name, '--' + name.replace('_', '-'))} {value}"


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


@contextlib.contextmanager
def drawing(folder: Path) -> Iterator[None]:
    """Draw figures in a folder; that the disk is full or a package missing is a warning: a run is for its numbers."""
    try:
        with writing(folder):
            yield
    except UserError as error:
        print(f"warning: not all figures are drawn. {error}")


def write_json(path: Path, record: Any) -> None:
    """Write a JSON file whole or not at all.

    Raises:
      UserError: if the disk is full or the folder is read-only.
    """
    temporary = path.with_suffix(".tmp")
    with writing(path.parent):
        temporary.write_text(json.dumps(record, indent=2, allow_nan=True) + "\n")
        os.replace(temporary, path)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say of whatever cannot be written to a run's folder what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"The run's folder {folder} cannot be written ({error.strerror}): make room or allow writing and continue "
            "with --resume, or choose another --out."
        ) from error


def on_primary(action: Callable[[], None]) -> None:
    """Do something in process 0 alone; its error is the error of all."""
    message = ""
    if distributed.is_primary():
        try:
            action()
        except UserError as error:
            message = str(error)
    if message := distributed.text_of_primary(message):
        raise UserError(message)
