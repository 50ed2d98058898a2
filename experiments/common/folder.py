"""A run's folder: `config.json`, `metrics.jsonl`, TensorBoard events, `checkpoints/`, `figures/`, `summary.json`."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from jaxvae.errors import UserError
from jaxvae.types import DataSpec

# What may differ when a run is resumed: the rest shapes the model, the data or the optimizer.
FREE_FIELDS = frozenset({"steps", "log_every", "eval_every", "patience", "nll_samples"})


def run_record(
    experiment: str, config: Any, spec: DataSpec, num_train: int, init_from: Path | None = None
) -> dict[str, Any]:
    """Return what `config.json` says of a run: all that its result depends on, but the images themselves."""
    record = {
        "experiment": experiment,
        "config": dataclasses.asdict(config),
        "spec": spec._asdict(),
        "num_train": num_train,
        "init_from": init_from and str(init_from),
    }
    return json.loads(json.dumps(record))  # tuples become lists, as they will be read


def open_folder(folder: Path, record: dict[str, Any], resume: bool, free: frozenset[str] = FREE_FIELDS) -> None:
    """Make the folder of a new run, or check that a resumed one is the same; nothing is written there yet.

    Args:
      folder: of the run.
      record: `run_record` of what is asked for now.
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
    for name, old, now in _settings(before, record):
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


class Recorder:
    """Where the numbers of a training go: `metrics.jsonl`, TensorBoard events and a progress bar.

    Events and bar are written where their packages are installed; the file always.

    Args:
      folder: of the run.
      done: steps that a resumed training has done; later records, of work that was lost, are dropped.
      steps: of the whole training.
      bar: whether to show a progress bar: the members of a sweep share one.
    """

    def __init__(self, folder: Path, done: int, steps: int, bar: bool = True) -> None:
        self.path = folder / "metrics.jsonl"
        kept = [record for record in read_records(folder) if record["step"] <= done]
        with writing(folder):
            temporary = self.path.with_suffix(".tmp")
            temporary.write_text("".join(json.dumps(record) + "\n" for record in kept))
            os.replace(temporary, self.path)
            self._file = self.path.open("a")
            self._events = _event_writer(folder, done)
        self._bar = progress_bar(total=steps, initial=done, unit="step", desc=folder.name) if bar else None
        self._valid: dict[str, float] = {}

    def __call__(self, step: int, part: str, metrics: dict[str, float]) -> None:
        """Record mean metrics of one part, "train" or "valid"."""
        with writing(self.path.parent):
            self._file.write(json.dumps({"step": step, "part": part, **metrics}) + "\n")
            self._file.flush()
        if self._events:
            for name, value in metrics.items():
                self._events.add_scalar(f"{part}/{name}", value, step)
        if part == "valid":
            self._valid = {f"valid_{name}": round(value, 2) for name, value in metrics.items() if name == "elbo"}
        if self._bar is not None:
            self._bar.n = step
            shown = {name: round(metrics[name], 2) for name in ("loss", "elbo") if name in metrics}
            if metrics.get("skipped"):
                shown["skipped"] = metrics["skipped"]
            if "images_per_second" in metrics:
                self._bar.set_postfix({**shown, **self._valid, "images/s": round(metrics["images_per_second"])})

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # each record was flushed; one that could not be has been reported
            self._file.close()
        if self._events:
            self._events.close()
        if self._bar is not None:
            self._bar.close()


def read_records(folder: Path) -> list[dict[str, Any]]:
    """Return the records of `metrics.jsonl`; a last line cut short by a crash is left out."""
    path = folder / "metrics.jsonl"
    records = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records


def progress_bar(**options: Any) -> Any:
    """Return a tqdm bar, or None where tqdm is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(dynamic_ncols=True, **options)


def _event_writer(folder: Path, done: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "events"), purge_step=done + 1 if done else None, write_to_disk=True)
