"""List the runs in a folder: when, on which data, how far, their main number, their size on disk."""

import os
import time
from pathlib import Path
from typing import Any

from jaxvae.commands.flags import called
from jaxvae.commands.run_flags import ListFlags
from jaxvae.runs.measures import MAIN, main_numbers
from jaxvae.runs.state import RunState, find_runs, state_of

LONGEST = 40  # characters of a data source


def run(flags: ListFlags) -> None:
    """Print a line for every run, study and exported model."""
    folder = flags.folder.expanduser()
    states = {place: state_of(place) for place in find_runs(folder)}
    if not states:
        print(f"{folder} has no runs: train one, as {called('train')} --data folder:DIR --out {folder}/NAME")
        return
    names = ("run", "model", "data", "state", "main number", "size", "last written")
    rows = [names, *(_row(place, state, folder) for place, state in states.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(names))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for state in states.values():
        if state.problem:
            print(f"damaged: {state.problem}")


# ---------- private


def _row(place: Path, state: RunState, folder: Path) -> tuple[str, ...]:
    files = [Path(root) / name for root, _, names in os.walk(place) for name in names]
    infos = [path.lstat() for path in files]
    written = max((info.st_mtime for info, path in zip(infos, files, strict=True) if path.suffix != ".lock"), default=0)
    return (
        str(place if place == folder else place.relative_to(folder)),
        str(state.record.get("experiment", "?")).rpartition(".")[2],
        _data(state.record),
        str(state),
        main_number(state),
        _size(sum(info.st_size for info in infos)),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(written)),
    )


def main_number(state: RunState) -> str:
    """Return the most telling number of a run in words: of its test set, or the latest of the validation set."""
    metrics = state.summary.get("metrics")
    numbers = main_numbers(metrics) if isinstance(metrics, dict) else {}
    if numbers:
        name, value = next(iter(numbers.items()))
        return f"{name} {value:,.4g}" + (f" {MAIN[name].unit}" if MAIN[name].unit else "")
    return f"valid loss {state.best['loss']:,.4g}" if state.best else ""


def _data(record: Any) -> str:
    """The source of the data, or how many images it was."""
    config = record.get("config", {})
    source = config.get("data")
    if isinstance(source, str):
        size = f", {config['image_size']} pixels" if config.get("image_size") else ""
        return (source if len(source) <= LONGEST else f"...{source[3 - LONGEST :]}") + size
    shape = record.get("spec", {}).get("shape")
    what = "images" if isinstance(shape, list) and len(shape) == 3 else "rows"
    return f"{record['num_train']:,} {what}" if isinstance(record.get("num_train"), int) else ""


def _size(num_bytes: float) -> str:
    for unit in ("B", "kB", "MB"):
        if num_bytes < 1000:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.3g} GB"
