"""What was measured, as a line of JSON each and as Markdown tables."""

import datetime
import json
import os
import platform
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.timing import Spread, spread

Record = dict[str, Any]


def record(suite: str, case: str, **numbers: Any) -> Record:
    """Return a record: what it is of, its numbers, and on what, with what and when they were measured.

    Args:
      suite: name.
      case: name in the suite; a newer record of the same case and device replaces it in tables.
      **numbers: with the unit in the name. A `Spread` becomes its median and `NAME_quartiles`; None is left out.
    """
    values: Record = {}
    for name, value in numbers.items():
        if isinstance(value, Spread):
            values |= {name: _rounded(value.median), f"{name}_quartiles": [_rounded(end) for end in value.quartiles]}
        elif value is not None:
            values[name] = _rounded(value)
    return {"suite": suite, "case": case, **values, **environment()}


def share(images_per_second: float, flops_per_image: int, ceiling: float) -> Record:
    """Return the fields of arithmetic, and how much of the rate of plain matrix products it is."""
    rate = images_per_second * flops_per_image
    return {
        "flops_per_image": flops_per_image,
        "flops_per_second": rate,
        "gemm_flops_per_second": ceiling,
        "share_of_ceiling": rate / ceiling,
    }


def compared(against: str, ratios: np.ndarray) -> Record:
    """Return the fields of a comparison: how many times as fast, turn by turn."""
    return {"against": against, "speedup": spread(ratios)}


def environment() -> Record:
    """Return device, cores, load, versions and time."""
    return {
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "cores": num_cores(),
        "load_average": round(os.getloadavg()[0], 2),  # of the last minute; this process is part of it
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("jax", "jaxlib", "flax", "optax", "numpy")},
        },
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def append(folder: Path, new: Record) -> None:
    """Add a record to the file of its suite."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{new['suite']}.jsonl").open("a") as file:
        file.write(json.dumps(new) + "\n")


def newest(folder: Path) -> list[Record]:
    """Return the newest record of each case and device in all files of a folder, without those of quick runs."""
    found: dict[tuple[Any, ...], Record] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            one = json.loads(line)
            if not one.get("quick"):
                key = (one["suite"], one["case"], one["device"], one["devices"])
                found.pop(key, None)  # a newer one goes to the end, beside what was measured with it
                found[key] = one
    return list(found.values())


def tables(records: Iterable[Record]) -> str:
    """Return a Markdown table for every suite and kind of device, columns without any number left out."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for one in records:
        groups.setdefault((one["suite"], one["device"], one["devices"], one["cores"]), []).append(one)
    return "\n\n".join(_table(rows) for rows in groups.values())


# ---------- private


def _table(rows: list[Record]) -> str:
    last = rows[-1]
    versions = ", ".join(f"{name} {number}" for name, number in last["versions"].items() if name in ("jax", "python"))
    where = f"{last['devices']} x {last['device']}, {last['cores']} cores, {versions}, {last['date'][:10]}"
    columns = {name: show for name, show in COLUMNS.items() if any(show(row) for row in rows)}
    lines = [f"{last['suite']}: {where}", "", _line(["case", *columns]), _line(["---", *["---:"] * len(columns)])]
    return "\n".join(lines + [_line([row["case"], *(show(row) for show in columns.values())]) for row in rows])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(field: str, form: str, scale: float = 1.0, quartiles: bool = True) -> Callable[[Record], str]:
    def show(row: Record) -> str:
        if field not in row:
            return ""
        ends = row.get(f"{field}_quartiles") if quartiles else None
        middle = format(scale * row[field], form)
        return middle if ends is None else f"{middle} ({' - '.join(format(scale * end, form) for end in ends)})"

    return show


# Numbers are medians, with the quartiles in brackets.
COLUMNS: dict[str, Callable[[Record], str]] = {
    "images/s": _plain("images_per_second", ",.0f"),
    "seconds": _plain("seconds", ".3g"),
    "times the bare function": _plain("times_bare", ".2f"),
    "GFLOP/s": _plain("flops_per_second", ",.0f", 1e-9, quartiles=False),
    "of the GEMM ceiling": _plain("share_of_ceiling", ".0%"),
    "GEMM ceiling, GFLOP/s": _plain("gemm_flops_per_second", ",.0f", 1e-9),
    "times as fast as": lambda row: row.get("against", ""),
    "ratio": _plain("speedup", ".2f"),
    "overhead": _plain("overhead", ".1%"),
    "lowering, s": _plain("lowering_seconds", ".2f"),
    "compilation, s": _plain("compile_seconds", ".2f"),
    "HLO instructions": _plain("hlo_instructions", ",.0f"),
}


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
