"""The numbers of a training as it goes: `metrics.jsonl`, TensorBoard events and a progress bar."""

import contextlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from jaxvae.progress import progress_bar
from jaxvae.runs.folder import writing


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
        self._bar = progress_bar(total=steps, unit="step", desc=folder.name, initial=done, show=bar)
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
        else:
            self._bar.set_postfix(shown_metrics(metrics, self._valid))
        self._bar.n = step

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # each record was flushed; one that could not be has been reported
            self._file.close()
        if self._events:
            self._events.close()
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


def shown_metrics(metrics: dict[str, float], valid: dict[str, float]) -> dict[str, float]:
    """Return what a bar shows beside the steps: a few numbers of the last steps and of the last evaluation."""
    shown: dict[str, float] = {name: round(metrics[name], 2) for name in ("loss", "elbo") if name in metrics}
    if metrics.get("skipped"):
        shown["skipped"] = metrics["skipped"]
    if "images_per_second" in metrics:
        shown["images/s"] = round(metrics["images_per_second"])
    return {**shown, **valid}


def _event_writer(folder: Path, done: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "events"), purge_step=done + 1 if done else None, write_to_disk=True)
