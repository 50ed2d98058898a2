"""A run's folder: `config.json`, `metrics.jsonl`, TensorBoard events, `checkpoints/`, `figures/`, `summary.json`."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from jaxvae.errors import UserError
from jaxvae.runs.comparison import require_same
from jaxvae.runs.files import read_json, write_json, writing
from jaxvae.runs.lock import lock
from jaxvae.training import distributed

# What may differ when a run is resumed: all else changes the model, the data or the optimizer.
FREE_FIELDS = frozenset({"steps", "log_every", "eval_every", "patience", "nll_samples"})


def reserve_folder(parent: Path, name: str) -> Path:
    """Make the folder of a run that has no name: NAME, or NAME-2, ... of several that start in the same second.

    Args:
      parent: folder of the runs.
      name: as date and time.

    Returns:
      The new folder; `discard_empty` takes it away where nothing comes of it.

    Raises:
      UserError: if it cannot be made.
    """
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise _not_made(folder, error) from error
        return folder
    raise AssertionError


def discard_empty(folder: Path) -> None:
    """Remove a folder in which there is nothing."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def open_folder(folder: Path, record: Mapping[str, Any], resume: bool, free: frozenset[str] = FREE_FIELDS) -> None:
    """Make the folder of a new run, or check that a resumed one is the same; nothing is written there yet.

    Args:
      folder: of the run.
      record: what `config.json` would say of what is asked for now.
      resume: whether the folder has to exist, or must not; an empty one, or one that a process was ended in while it
        began, does not count.
      free: fields of the configuration that may differ.

    Raises:
      UserError: if it exists and is not resumed, is resumed and does not exist or is another run, or cannot be made.
    """
    path = folder / "config.json"
    if resume:
        if not path.exists():
            found = ", ".join(sorted(other.parent.name for other in folder.parent.glob("*/config.json"))) or "none"
            raise UserError(f"There is no run {folder} to resume; runs there: {found}.")
        require_same(folder, read_json(path), record, free)
        return
    if path.exists():
        raise UserError(
            f"The run {folder} exists already: continue it with resume=True or --resume, or choose another name."
        )
    if any(step.name.isdecimal() for step in folder.glob("checkpoints/*")):
        raise UserError(f"{folder} has checkpoints and no config.json, it is damaged: choose another name.")
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_made(folder, error) from error


def claim(folder: Path, record: Mapping[str, Any], resume: bool, free: frozenset[str] = FREE_FIELDS) -> FileLock:
    """Make or check a run's folder, lock it, and write its `config.json`: in process 0 alone.

    What is written there already and `record` does not have, which a last stage adds, stays.

    Args:
      folder: of the run.
      record: what `config.json` says.
      resume: as of `open_folder`.
      free: as of `open_folder`.

    Returns:
      The lock, taken.

    Raises:
      UserError: as `open_folder`; if another process trains the run, or it cannot be written.
    """
    open_folder(folder, record, resume, free)
    with writing(folder):
        taken = lock(folder)
    try:
        open_folder(folder, record, resume, free)  # another process may have begun it before it was locked
        path = folder / "config.json"
        write_json(path, {**(read_json(path) if path.exists() else {}), **record})
    except BaseException:
        taken.release()
        raise
    return taken


@contextlib.contextmanager
def drawing(folder: Path) -> Iterator[None]:
    """Draw figures in a folder; that the disk is full or a package missing is a warning: a run is for its numbers."""
    try:
        with writing(folder):
            yield
    except UserError as error:
        print(f"warning: not all figures are drawn. {error}")


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


# ---------- private


def _not_made(folder: Path, error: OSError) -> UserError:
    return UserError(f"The run {folder} cannot be made ({error.strerror or error}): choose another place.")
