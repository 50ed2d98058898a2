"""`summary.json`: configuration, training time, environment and test metrics of a run."""

import datetime
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from jaxvae.errors import UserError
from jaxvae.runs.files import read_json, write_json


def write_summary(folder: Path, training: Mapping[str, Any], metrics: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Write and return `summary.json`.

    Args:
      folder: of the run, with its `config.json`.
      training: steps, seconds, ....
      metrics: of the test set.
      more: whatever belongs to this kind of run.

    Returns:
      What was written.
    """
    devices = jax.devices()
    record = read_json(folder / "config.json")
    summary = {
        "experiment": record["experiment"],
        "config": record["config"],
        **training,
        "device": f"{len(devices)} x {devices[0].device_kind}",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("jaxvae", "jax", "flax", "optax", "numpy")},
        },
        "date": datetime.date.today().isoformat(),
        "metrics": metrics,
        **more,
    }
    write_json(folder / "summary.json", summary)
    return summary


def read_summary(folder: Path) -> dict[str, Any]:
    """Return `summary.json`, {} where there is none or it is damaged: it can be made again."""
    path = folder / "summary.json"
    try:
        found = read_json(path) if path.exists() else {}
    except UserError as error:
        print(f"warning: {error} It is made again.")
        return {}
    return found if isinstance(found, dict) else {}


def with_earlier(folder: Path, name: str, rows: list[dict[str, Any]], keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the rows of a table after those that a resumed run left in `summary.json` and did not compute again."""
    made = [[row[key] for key in keys] for row in rows]
    earlier = read_summary(folder).get(name, [])
    return [*(row for row in earlier if [row[key] for key in keys] not in made), *rows]
