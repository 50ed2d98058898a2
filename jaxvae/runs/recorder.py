"""Log the metrics of a training to `metrics.jsonl`, TensorBoard events and a progress bar."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from jaxvae.progress import progress_bar
from jaxvae.runs.files import finite, read_records, writing


class Recorder:
    """Logs the metrics of a training to `metrics.jsonl`, TensorBoard events and a progress bar.

    Events and bar are written where their packages are installed; the file wherever there is a folder.

    Args:
      folder: of the run; None shows a bar alone.
      done: steps that a resumed training has done; later records, of work that was lost, are dropped.
      steps: of the whole training.
      bar: whether to show a progress bar: the members of a sweep share one.
      name: beside the bar; by default that of the folder.
    """

    def __init__(
        self, folder: Path | None, done: int, steps: int, *, bar: bool = True, name: str | None = None
    ) -> None:
        self.folder = folder
        self._file = self._events = None
        if folder is not None:
            with writing(folder):
                _keep_until(folder, done)
                self._file = (folder / "metrics.jsonl").open("a")
                self._events = _event_writer(folder, done)
        named = name or (folder.name if folder else "")
        self._bar = progress_bar(steps, "step", named, initial=done, show=bar, first="compiling, then the first steps")
        self._valid: dict[str, float] = {}

    def __call__(self, step: int, part: str, metrics: dict[str, float]) -> None:
        """Record mean metrics of one part, "train" or "valid"."""
        if self.folder is not None and self._file is not None:
            with writing(self.folder):
                self._file.write(json.dumps(finite({"step": step, "part": part, **metrics})) + "\n")
                self._file.flush()
        if self._events:
            for name, value in metrics.items():
                self._events.add_scalar(f"{part}/{name}", value, step)
        if part == "valid":
            shown = "elbo" if "elbo" in metrics else "loss"
            self._valid = {f"valid_{shown}": round(metrics[shown], 2)} if shown in metrics else {}
        else:
            self._bar.set_postfix(shown_metrics(metrics, self._valid))
        self._bar.update(step - self._bar.n)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # each record was flushed; one that could not be has been reported
            if self._file is not None:
                self._file.close()
            if self._events:
                self._events.close()
        self._bar.close()


def shown_metrics(metrics: dict[str, float], valid: dict[str, float]) -> dict[str, float]:
    """Return what a bar shows beside the steps: a few numbers of the last steps and of the last evaluation."""
    shown: dict[str, float] = {name: round(metrics[name], 2) for name in ("loss", "elbo") if name in metrics}
    if metrics.get("skipped"):
        shown["skipped"] = metrics["skipped"]
    if "images_per_second" in metrics:
        shown["images/s"] = round(metrics["images_per_second"])
    return {**shown, **valid}


# ---------- private


def _keep_until(folder: Path, done: int) -> None:
    """Write the file anew without the records of work that was lost, or that are damaged."""
    kept = [record for record in read_records(folder) if record["step"] <= done]
    temporary = folder / "metrics.tmp"
    temporary.write_text("".join(json.dumps(finite(record)) + "\n" for record in kept))
    os.replace(temporary, folder / "metrics.jsonl")


def _event_writer(folder: Path, done: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    writer = SummaryWriter(str(folder / "events"), purge_step=done + 1 if done else None, write_to_disk=True)
    # Events are a copy of `metrics.jsonl`, whose errors are told: a thread of their own would print them page by page.
    with contextlib.suppress(AttributeError):
        file = writer.file_writer.event_writer._ev_writer
        for name in ("write_event", "flush", "close"):
            setattr(file, name, _without_errors(getattr(file, name)))
    return writer


def _without_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    def forgiving(*args: Any) -> None:
        with contextlib.suppress(OSError, ValueError):  # of a full disk, and of a file that was closed for it
            function(*args)

    return forgiving
