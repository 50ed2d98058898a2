"""Arrays that are slow to make, kept in the user's cache folder."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jaxvae.data.npz import read_npz
from jaxvae.data.places import located
from jaxvae.errors import UserError


def cache_folder(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Choose the folder: `cache_dir`, else $JAXVAE_CACHE, else `~/.cache/jaxvae`."""
    return located(cache_dir or os.environ.get("JAXVAE_CACHE") or "~/.cache/jaxvae", "cache:")


def cached(path: Path, make: Callable[[], dict[str, np.ndarray]], needed: str) -> dict[str, np.ndarray]:
    """Read the arrays of a cache file, or make them and write it.

    A file that is broken is made again. It is written under another name first, so that neither a killed process nor
    two at once leave half a file; where the folder cannot be written to, nothing is kept.

    Args:
      path: the `.npz` file; its folder is made as needed.
      make: gives the arrays, by name.
      needed: the name of an array without which a file is of something else.

    Returns:
      The arrays, by name.
    """
    try:
        if needed in (arrays := read_npz(path)):
            return arrays
    except UserError:  # missing or damaged
        pass
    arrays = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    except OSError:
        return arrays
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, path)
    except OSError:  # a full disk costs the cache, not the run
        Path(temporary).unlink(missing_ok=True)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return arrays
