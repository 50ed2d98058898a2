"""What a resumed run has to have in common with what it was: all that its result depends on."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxvae.errors import UserError

# Of `config.json`, in the order in which a difference is said.
COMPARED = ("experiment", "config", "spec", "num_train", "data", "init_from", "stage", "system")
# Entries at any depth that say nothing of the result.
UNLIKE = frozenset({"format", "jaxvae", "latents", "reason", "classes"})
NAMES = {"experiment": "the experiment", "num_train": "training images numbering", "init_from": "init_from"}
SHOWN = 60  # characters of a value in a message

Place = tuple[str, ...]


def require_same(folder: Path, before: Any, record: Mapping[str, Any], free: Collection[str]) -> None:
    """Raise unless a run that is resumed is the same; what was not written when it was started is taken to be equal.

    Args:
      folder: of the run.
      before: its `config.json`.
      record: what that would say of what is asked for now.
      free: fields of the configuration, or `hparams`, that may differ.

    Raises:
      UserError: it says what differs, of a model the path of the part.
    """
    if not isinstance(before, Mapping):
        raise UserError(f"{folder / 'config.json'} is not the record of a run: the run's folder is damaged.")
    for path, old, now in _differences(before, {key: record[key] for key in COMPARED if key in record}, ()):
        if not (path[-1] in free and path[-2:-1] in ((), ("config",), ("hparams",))):
            raise UserError(f"The run {folder} was started with {_said(path, old, now)}, or start another run.")


# ---------- private


def _differences(before: Any, now: Any, path: Place) -> Iterator[tuple[Place, Any, Any]]:
    """The paths of what differs, with old and new values."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        of_class = "class" in before or "call" in before  # whose fields another version may have more of
        if "parts" in path and (before.keys() != now.keys()) and not (of_class and ("class" in now or "call" in now)):
            yield path, before, now
            return
        for key, value in now.items():
            if key in before and key not in UNLIKE:
                yield from _differences(before[key], value, (*path, key))
    elif "parts" in path and isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for i, pair in enumerate(zip(before, now, strict=True)):
            yield from _differences(*pair, (*path, str(i)))
    elif before != now:
        yield path, before, now


def _said(path: Place, old: Any, now: Any) -> str:
    if path[-1] == "data" and path[-2:-1] != ("config",):
        return "other images, as many of the same shape: resume it with those that it was started with"
    if "system" in path:
        part = ".".join(path[path.index("system") + 1 :])
        return f"another model, {part} was {_short(old)} and is {_short(now)} now: resume it with the old model"
    if "spec" in path:
        return f"data of {path[-1]} {_short(old)}, now it is {_short(now)}: resume it with the old ones"
    return f"{NAMES.get(path[-1], path[-1])} {_short(old)}, now it is {_short(now)}: resume it with the old value"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
