"""The image files of a folder, told by what they contain and not by their names."""

import json
import os
import re
import stat
from pathlib import Path
from typing import NamedTuple

from jaxvae.errors import UserError

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM")  # as Pillow calls them; it tries no other
NAMES = "PNG, JPEG, TIFF, WebP, BMP, GIF and PNM"
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".pbm", ".pgm", ".ppm", ".pnm")
MARK = ".jaxvae.json"  # in a folder that a command wrote: the names of its files, and which are no images of it
HEAD = 64  # bytes that tell a format

_SIGNATURES = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "TIFF": rb"II[\x2a\x2b]\x00|MM\x00[\x2a\x2b]",
    "WEBP": rb"RIFF....WEBP",
    "BMP": rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00",  # the last is the size of a known header
    "GIF": rb"GIF8[79]a",
    "PPM": rb"P[1-6]\s+(#[^\n]*\n\s*|\d)",
}


class Files(NamedTuple):
    """What lies in a folder, in the order of the paths."""

    images: list[Path]
    others: list[Path]  # files that are no images


def find_files(root: Path) -> Files:
    """Go through a folder and all folders in it, links included; hidden files and folders are passed over.

    So is what a command has written beside images, as a contact sheet: its folders are data again.

    Args:
      root: the folder.

    Returns:
      Its files.

    Raises:
      UserError: if a folder or file may not be read, a file is no regular one, or has an image's name but is none.
    """
    images, others = [], []
    waiting: list[tuple[Path, tuple[tuple[int, int], ...]]] = [(root, (_identity(root),))]
    while waiting:
        folder, above = waiting.pop()
        aside = _aside(folder)
        for path, info in _entries(folder):
            if path.name in aside:
                continue
            if stat.S_ISDIR(info.st_mode):
                if (identity := (info.st_dev, info.st_ino)) not in above:  # a link to a folder above would never end
                    waiting.append((path, (*above, identity)))
            elif image_format(path):
                images.append(path)
            elif path.suffix.lower() in SUFFIXES:
                raise UserError(f"{path} has the name of an image and is none of {NAMES}: replace or remove it.")
            else:
                others.append(path)
    return Files(sorted(images), sorted(others))


def image_format(path: Path) -> str | None:
    """Tell the format of an image by its first bytes, as Pillow calls it; None of any other file.

    Raises:
      UserError: if it is no regular file (a pipe would never end), or may not be read.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UserError(f"{path} is a pipe, a socket or a device, expected a file: remove it.")
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): allow it, or remove the file.") from error
    matches = (name for name, signature in _SIGNATURES.items() if re.match(signature, head, re.DOTALL))
    return next(matches, None)


def _identity(folder: Path) -> tuple[int, int]:
    info = os.stat(folder)
    return info.st_dev, info.st_ino


def _aside(folder: Path) -> frozenset[str]:
    """The names of files that a command wrote beside the images of a folder."""
    try:
        return frozenset(json.loads((folder / MARK).read_text(encoding="utf-8"))["aside"])
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def _entries(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """The visible files and folders in one folder; of a link, what it leads to."""
    found = []
    path = folder
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if not entry.name.startswith("."):
                    path = folder / entry.name
                    found.append((path, os.stat(path)))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): allow it, or remove it.") from error
    return found
