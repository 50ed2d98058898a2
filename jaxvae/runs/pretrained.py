"""Models that are shipped with the library, which `load` and every verb take by their names.

A folder each in `jaxvae/pretrained`, as `python -m jaxvae export` writes it: its `card.md` says of which images it is,
by which command it was trained, and its numbers.
"""

import difflib
import os
import sys
from pathlib import Path

from jaxvae.data.places import located
from jaxvae.errors import UserError

FOLDER = Path(__file__).parent.parent / "pretrained"


def shipped() -> dict[str, Path]:
    """Return the folders of the shipped models by their names."""
    return {path.parent.name: path.parent for path in sorted(FOLDER.glob("*/config.json"))}


def model_at(place: str | os.PathLike[str]) -> Path:
    """Return where a model is: a path as it is, or the folder of the shipped model of that name.

    What is in the working directory by the name of a shipped model is meant before it, which is said.

    Args:
      place: a path, or a name.

    Raises:
      UserError: if it is a mere name, of nothing in the working directory and of no shipped model; see also `located`.
    """
    path, name, models = located(place), os.fspath(place), shipped()
    if path.exists():
        if name in models:
            print(f"note: {name} is what is here in {Path.cwd()}, not the shipped model of that name.", file=sys.stderr)
        return path
    if name in models:
        return models[name]
    if path.name == name and not path.suffix:
        near = difflib.get_close_matches(name, models, 1)
        hint = f"did you mean {near[0]}? Shipped models are" if near else "expected a path, or a shipped model:"
        raise UserError(f"There is no run or model {name}: {hint} {', '.join(models)}.")
    return path
