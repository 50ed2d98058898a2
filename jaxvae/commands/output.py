"""What a verb writes: a file or a folder, whole or not at all, in which images have the names of their sources."""

import contextlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from jaxvae.data.files import MARK, SUFFIXES
from jaxvae.errors import UserError

SHEET = "sheet.png"
# Names that end so are no folders, whatever a verb can write.
FILES = frozenset(
    {".csv", ".gif", ".html", ".json", ".jvz", ".npy", ".npz", ".pdf", ".safetensors", ".txt", ".zip", *SUFFIXES}
)


def check_place(
    place: Path, *, overwrite: bool, endings: Collection[str], folder: bool, own: Collection[str] = ()
) -> Path:
    """Return a place that can be written to, before anything is computed for it.

    Args:
      place: as it was given.
      overwrite: whether to replace what an earlier command wrote there.
      endings: of the names of files that the verb can write.
      folder: whether it can write a folder.
      own: names of files that it writes, of a folder without a mark.

    Raises:
      UserError: if there is something else, or it cannot be written.
    """
    place = place.expanduser()
    place = place.resolve() if place.is_symlink() else place
    kinds = [*(["a folder"] if folder else []), *(f"NAME{ending}" for ending in endings)]
    if not (ending(place) in endings or (folder and ending(place) not in FILES)):
        raise UserError(f"--out is {place}, expected {' or '.join(kinds)}.")
    if ending(place) in endings and place.is_dir():
        raise UserError(f"--out {place} is a folder, expected a file: choose another place.")
    if os.path.lexists(place) and not (place.is_dir() and not any(place.iterdir())):
        _check_replaced(place, overwrite, own)
    above = _existing(place)
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise UserError(f"{place} cannot be written, {above} is no folder that can: choose another place.")
    return place


@contextlib.contextmanager
def writing(place: Path, *, mark: bool = True) -> Iterator[Path]:
    """Give a place to write to that becomes `place` at the end, or is removed if anything goes wrong.

    Args:
      place: as `check_place` gives it; a folder unless its name ends as that of a file.
      mark: whether a folder gets the file by which `check_place` knows it.

    Raises:
      UserError: if it cannot be written.
    """
    is_file = ending(place) in FILES
    temporary = _existing(place) / f".{place.stem}.{os.getpid()}.tmp{ending(place) if is_file else ''}"
    try:
        if not is_file:
            temporary.mkdir()
        yield temporary
        if not is_file and mark:
            _write_mark(temporary)
        place.parent.mkdir(parents=True, exist_ok=True)
        if is_file:
            os.replace(temporary, place)
        else:
            _swap(temporary, place)
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"{place} cannot be written ({why}): make room, or choose another place.") from error
    finally:
        if is_file:
            temporary.unlink(missing_ok=True)
        else:
            shutil.rmtree(temporary, ignore_errors=True)


def ending(place: Path) -> str:
    """Return what a name ends in, in small letters: ".png"."""
    return place.suffix.lower()


def image_names(names: Sequence[str], *, sheet: bool = True) -> list[str]:
    """Return names of PNG files for sources: a.png for a.jpg, a.jpg.png and a.png.png where there are both.

    Args:
      names: paths in a folder, or numbers.
      sheet: whether the name of the contact sheet is taken.

    Raises:
      UserError: if one leads out of the folder.
    """
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or path.name == "" or "\0" in name or "\\" in name:
            raise UserError(f"The name {name!r} is no path in a folder: give each image one like a.png or cats/a.png.")
    plain = [f"{_without_ending(name)}.png" for name in names]
    reserved = {SHEET} if sheet else set()
    counts = Counter([*reserved, *(name.casefold() for name in plain)])
    chosen = [own if counts[own.casefold()] == 1 else f"{name}.png" for own, name in zip(plain, names, strict=True)]
    taken: set[str] = set(reserved)
    unlike = []
    for name in chosen:
        number, own = 1, name
        while own.casefold() in taken:
            number += 1
            own = f"{name.removesuffix('.png')}-{number}.png"
        taken.add(own.casefold())
        unlike.append(own)
    return unlike


# ---------- private


def _existing(place: Path) -> Path:
    """The nearest folder above a place that exists."""
    return next((above for above in place.absolute().parents if above.exists()), Path("/"))


def _check_replaced(place: Path, overwrite: bool, own: Collection[str]) -> None:
    """Raise a `UserError` unless a file or folder may be replaced."""
    if not overwrite:
        raise UserError(f"There is {place} already: choose another place, or pass --overwrite.")
    if place.is_dir():
        there = {path.relative_to(place).as_posix() for path in place.rglob("*") if not path.is_dir()}
        if others := sorted(there - {MARK, *own, *_marked(place)}):
            raise UserError(
                f"{place} has files that no command wrote there, as {others[0]}: move them away, or choose another "
                "place."
            )


def _marked(place: Path) -> Collection[str]:
    try:
        return {str(name) for name in json.loads((place / MARK).read_text())["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def _write_mark(folder: Path) -> None:
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    aside = [name for name in files if name == SHEET or ("/" not in name and not name.endswith(SUFFIXES))]
    mark = {"jaxvae": version("jaxvae"), "files": files, "aside": aside}
    (folder / MARK).write_text(json.dumps(mark, indent=1) + "\n")


def _swap(temporary: Path, place: Path) -> None:
    """Put a folder in the place of another one, which is removed when that has succeeded."""
    if not place.exists():
        os.rename(temporary, place)
        return
    before = place.with_name(f".{place.name}.{os.getpid()}.old")
    os.rename(place, before)
    try:
        os.rename(temporary, place)
    except OSError:
        os.rename(before, place)
        raise
    shutil.rmtree(before, ignore_errors=True)


def _without_ending(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in SUFFIXES else str(path)
