"""Images of which some may not be readable: the others are, and each that is not has its reason."""

import contextlib
import io
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxvae.data.files import NAMES, SUFFIXES, image_format
from jaxvae.data.for_model import load_files, load_for
from jaxvae.data.places import located
from jaxvae.errors import UserError
from jaxvae.progress import progress
from jaxvae.types import Dataset, DataSpec


class Readable(NamedTuple):
    """Images, and those that are none."""

    dataset: Dataset  # those that could be read
    reasons: dict[str, str]  # of the others, by their names


def load_readable(spec: DataSpec, source: str, *, part: str | None = None, resize: bool = False) -> Readable:
    """Load the images of a source as `load_for`; those of a folder that cannot be read are left out, with the reason.

    Args:
      spec: of the data that the model was trained on.
      source: see `jaxvae.data.load`.
      part: as of `load_for`.
      resize: as of `load_for`.

    Returns:
      Images without labels where some could not be read.

    Raises:
      UserError: as `load_for`, if none can be read.
    """
    try:
        return Readable(load_for(spec, source, part=part, resize=resize), {})
    except UserError as error:
        kind, _, where = source.partition(":")
        if kind != "folder" or part is not None or not where or not (root := located(where)).is_dir():
            raise
        names = [path.relative_to(root).as_posix() for path in _images(root)]
        each = {name: _reason(spec, root / name, resize) for name in progress(names, "looking for damage")}
        reasons = {name: why for name, why in each.items() if why is not None}
        good = [name for name in names if name not in reasons]
        if not good or not reasons:
            raise error
    dataset = load_files(spec, [root / name for name in good], resize=resize)
    return Readable(Dataset(dataset.x, None, np.array(good)), reasons)


# ---------- private


def _images(root: Path) -> list[Path]:
    """The files of a folder that are images, or have the names of such; hidden ones are passed over."""
    found = []
    for folder, inside, names in os.walk(root):
        inside[:] = [name for name in inside if not name.startswith(".")]
        for name in names:
            path = Path(folder) / name
            if not name.startswith(".") and (path.suffix.lower() in SUFFIXES or _is_image(path)):
                found.append(path)
    return sorted(found)


def _is_image(path: Path) -> bool:
    try:
        return image_format(path) is not None
    except UserError:
        return False


def _reason(spec: DataSpec, path: Path, resize: bool) -> str | None:
    """Why a file cannot be read as an image for a model, None if it can."""
    try:
        if image_format(path) is None:
            return f"{path} has the name of an image and is none of {NAMES}: replace or remove it."
        with contextlib.redirect_stderr(io.StringIO()):  # what is to be said is said of all together
            load_files(spec, [path], resize=resize)
    except UserError as error:
        return str(error)
    return None
