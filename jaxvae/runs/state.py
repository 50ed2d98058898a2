"""What a run's folder tells without JAX: whether the run is finished, how far it came, its numbers."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filelock import FileLock, Timeout

from jaxvae.errors import UserError
from jaxvae.runs.files import FORMAT, read_json, read_records

Kind = Literal["finished", "unfinished", "in training", "exported", "damaged"]
INNER = frozenset({"checkpoints", "codes", "events", "figures"})  # folders of a run in which there is no other run


class RunState(NamedTuple):
    """A run, or a model that was exported, as its files have it."""

    kind: Kind
    record: Mapping[str, Any] = {}  # its `config.json`
    summary: Mapping[str, Any] = {}  # its `summary.json`, or what an exported model keeps of it, {} before the end
    steps: int = 0  # of the newest checkpoint
    asked: int = 0  # steps of the whole training, 0 where that is not one training
    best: Mapping[str, Any] = {}  # the best record of the validation set so far, {} before the first evaluation
    problem: str = ""  # why it is damaged

    def __str__(self) -> str:
        if self.kind == "damaged" or not self.asked or self.kind in ("finished", "exported"):
            return self.kind
        return f"{self.kind}, {self.steps:,} of {self.asked:,} steps"


def state_of(place: Path) -> RunState:
    """Return the state of a folder with a `config.json`; whether its arrays are whole is told by `load` alone.

    Args:
      place: folder of a run, a study or an exported model.
    """
    try:
        record = read_json(place / "config.json")
        if not isinstance(record, dict) or not isinstance(record.get("config"), dict):
            raise UserError(f"{place / 'config.json'} is no record of a run.")
        if record.get("format") != FORMAT:
            raise UserError(f"{place} is of format {record.get('format', 'jaxvae 0.1')}, expected {FORMAT}.")
    except UserError as error:
        return RunState("damaged", problem=str(error))
    if (place / "model.safetensors").exists():
        kept = record.get("summary")
        return RunState("exported", record, kept if isinstance(kept, dict) else {})
    summary = _summary(place)
    checkpoints = place / "checkpoints"
    if not checkpoints.is_dir() and "system" not in record:  # of several runs, which have their own
        return RunState("finished" if summary else "unfinished", record, summary)
    valid = [one for one in read_records(place) if one["part"] == "valid" and "loss" in one]
    steps = max((int(step.name) for step in checkpoints.glob("*") if step.name.isdecimal()), default=0)
    asked = record["config"].get("steps")
    best = min(valid, key=lambda one: one["loss"], default={})
    is_done = steps > 0 and (summary.get("steps") == steps or steps >= _number(asked) or _stopped(record, valid))
    kind: Kind = "finished" if is_done else "in training" if _is_locked(place) else "unfinished"
    return RunState(kind, record, summary, steps, _number(asked), best)


def find_runs(folder: Path) -> list[Path]:
    """Return all folders with a `config.json` in a folder and below, in the order of their paths.

    Raises:
      UserError: if it is no folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: expected one in which there are runs.")
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in INNER and not name.startswith(".")]
        if "config.json" in files:
            found.append(Path(place))
    return sorted(found)


def members(folder: Path) -> list[Path]:
    """Return the runs of a study, or the run or model itself.

    Raises:
      UserError: if there is none.
    """
    if not (folder / "config.json").exists():
        raise UserError(f"{folder} is no folder of a run: there is no config.json in it.")
    is_study = not (folder / "checkpoints").is_dir() and not (folder / "model.safetensors").exists()
    inner = sorted(path.parent for path in folder.glob("*/config.json")) if is_study else []
    return inner or [folder]


# ---------- private


def _summary(place: Path) -> Mapping[str, Any]:
    try:
        found = read_json(place / "summary.json") if (place / "summary.json").exists() else {}
    except UserError:  # it can be made again
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _stopped(record: Mapping[str, Any], valid: list[dict[str, Any]]) -> bool:
    """Whether a training ended early, having gone on for as many evaluations without improvement as it should."""
    patience = _number(record["config"].get("patience"))
    losses = [one["loss"] for one in valid]
    return patience > 0 and len(losses) > patience and min(losses[:-patience]) <= min(losses[-patience:])


def _is_locked(place: Path) -> bool:
    """Whether a process trains the run: it holds the lock."""
    path = place / ".lock"
    if not path.exists():
        return False
    probe = FileLock(path)
    try:
        probe.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # of somebody else's folder
        return False
    probe.release()
    return False
