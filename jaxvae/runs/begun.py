"""What a command has begun: refused, it leaves no folder behind; ended, it holds no lock."""

import contextlib
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from jaxvae.errors import Diverged, UserError
from jaxvae.exits import is_full

MADE = ("figures", "checkpoints")  # folders that are empty until something is trained


class Begun(NamedTuple):
    """A run's folder that was made by this process."""

    folder: Path
    made: tuple[Path, ...]  # it and those around it that were not there before, the innermost first
    lock: FileLock | None  # kept until the command ends
    resumed: bool = False


_BEGUN: list[Begun] = []  # of runs of several trainings, and of those without a name


def reserve_folder(parent: Path, name: str) -> Path:
    """Make the folder of a run that has no name: NAME, or NAME-2, ... of several that start in the same second.

    Args:
      parent: folder of the runs.
      name: as date and time.

    Returns:
      The new folder; `end` takes it away where nothing comes of it.

    Raises:
      UserError: if it cannot be made.
    """
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        made = absent(folder)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise not_made(folder, error) from error
        _BEGUN.append(Begun(folder, made or (folder,), None))
        return folder
    raise AssertionError


def keep(begun: Begun) -> None:
    """Remember what is begun, and its lock, until `end`."""
    _BEGUN.append(begun)


def end(*, refused: bool = False) -> None:
    """Release what is held: a command does at its end, for the next one in the same process.

    Args:
      refused: whether the command was: what it has begun, and trained nothing in, is then taken away.
    """
    while _BEGUN:
        folder, made, lock, resumed = _BEGUN.pop()
        if refused and not resumed:
            discard_unused(folder, made)
        elif lock is None:
            _remove_empty(made)
        if lock is not None:
            lock.release()


@contextlib.contextmanager
def beginning() -> Iterator[None]:
    """End what a command has begun, at its own end: what trained nothing before it was refused leaves nothing."""
    try:
        yield
    except (UserError, MemoryError, RuntimeError) as error:
        end(refused=not isinstance(error, Diverged) and (not isinstance(error, RuntimeError) or is_full(error)))
        raise
    finally:
        end()


def absent(folder: Path) -> tuple[Path, ...]:
    """Return a folder and those around it, the innermost first, that do not exist."""
    return tuple(itertools.takewhile(lambda place: not place.exists(), (folder, *folder.parents)))


def discard_unused(folder: Path, made: tuple[Path, ...]) -> None:
    """Take away what the beginning of a run has written, unless something was trained there.

    Args:
      folder: of the run, whose lock this process has.
      made: folders that were made for it; others stay, as do files that are not a run's.
    """
    trained = (
        *folder.glob("summary.json"),
        *folder.glob("*/config.json"),
        *(place for name in MADE for place in folder.glob(f"{name}/*")),
        *(path for path in folder.glob("metrics.jsonl") if path.stat().st_size),
    )
    if trained:
        return
    with contextlib.suppress(OSError):
        for name in ("config.json", "metrics.jsonl", ".lock"):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / "events", ignore_errors=True)
        _remove_empty(tuple(folder / name for name in MADE))
        _remove_empty(made)


def not_made(folder: Path, error: OSError) -> UserError:
    """Return the error of a run's folder that cannot be made."""
    return UserError(f"The run {folder} cannot be made ({error.strerror or error}): choose another place.")


# ---------- private


def _remove_empty(folders: tuple[Path, ...]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
