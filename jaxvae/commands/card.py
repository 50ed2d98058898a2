"""The card of a model that is given away: what it is, what it was trained on and how, its numbers, its licence."""

import json
import math
import platform
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import jax

from jaxvae.commands.given import said
from jaxvae.reports.next_command import own_modules
from jaxvae.runs.measures import MAIN, main_numbers, written
from jaxvae.runs.trained import Trained

LIBRARIES = ("jaxvae", "jax", "flax", "optax", "numpy")
# Of a run of `python -m jaxvae train`: what it writes to its configuration beside its flags.
NO_FLAGS = frozenset(
    {"eval_every", "log_every", "save_every", "eval_batch_size", "ema_decay", "clip_norm", "skip_norm"}
)


def card(
    trained: Trained,
    name: str,
    licence: str,
    samples: str | None,
    use: Sequence[str] | None = None,
    *,
    half: bool = False,
) -> str:
    """Return the card of a model in Markdown.

    Args:
      trained: the model.
      name: of the folder that it is exported to.
      licence: of the model.
      samples: file with samples beside the card, None where there is none.
      use: lines that say how the files beside the card are used, by default that the folder is loaded.
      half: whether its weights are kept in 16 bits.
    """
    record, config, spec = trained.record, trained.config, trained.spec
    summary = trained.summary
    images = len(spec.shape) == 3
    num = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(trained.params))
    rows = {
        "model": f"{trained.system.name}, {num:,} parameters",
        "of": f"images of {said(spec)}" if images else f"rows of {spec.shape[0]} numbers",
        "classes": ", ".join(spec.classes) or str(spec.num_classes or ""),
        "data": config.get("data", ""),
        "training examples": f"{record['num_train']:,}" if "num_train" in record else "",
        "hash of the data": trained.data_hash or "",
        "started from": record.get("init_from") or "",
        "command of the first stage": _code(command_of(record["stage"])) if "stage" in record else "",
        "command": _code(command_of(record)),
        "steps": f"{summary['steps']:,}" if "steps" in summary else "",
        "device": summary.get("device", ""),
        "date": summary.get("date", ""),
        "versions": versions(record, summary),
        "weights": "rounded to 16-bit floats; they load as 32-bit floats" if half else "",
        "exported by": _code(exported_by(name, licence, half)) if use is None else "",
        "licence": licence,
    }
    table = [f"| {key} | {str(value).replace('|', '/')} |" for key, value in rows.items() if value != ""]
    lines = [f"# {name}", "", *([f"![samples]({samples})", ""] if samples else []), "| | |", "| --- | --- |", *table]
    if use is None:
        use = usage(name, sorted(set(own_modules(record.get("system", {})))))
    return "\n".join([*lines, *numbers(summary), *use]) + "\n"


def numbers(summary: Mapping[str, Any]) -> list[str]:
    """Return the table of the main numbers of the test set, [] where there are none."""
    given = summary.get("metrics")
    metrics = given if isinstance(given, Mapping) else {}
    found = main_numbers(metrics)
    if not found:
        return []
    head = ["", "## On the test set", "", "| number | value | unit | |", "| --- | --- | --- | --- |"]
    return head + [
        f"| {MAIN[key].name} (`{key}`) | {written(metrics, key)} | {MAIN[key].unit} | "
        f"{f'{MAIN[key].better} is better' if MAIN[key].better else ''} |"
        for key in found
    ]


def command_of(record: Mapping[str, Any]) -> str | None:
    """Return the command that trains such a model again, None of one that was trained from Python."""
    config, module = record["config"], str(record.get("experiment", ""))
    if "." in module:
        words = ["python", "-m", module, *_flags(config)]
        return shlex.join(words)
    if "model" in config and "data" in config:
        return shlex.join(["python", "-m", "jaxvae", "train", *_flags(config, NO_FLAGS), "--out", "RUN"])
    return None


def exported_by(name: str, licence: str, half: bool) -> str:
    """Return the command that makes such a folder of a run."""
    words = ["python", "-m", "jaxvae", "export", "RUN", "--out", name, "--licence", licence]
    return shlex.join([*words, *(["--half"] if half else [])])


def versions(record: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """Return the versions that trained a model, or where that is not known those that export it."""
    known = summary.get("versions")
    if not isinstance(known, Mapping):
        here = {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}
        known = {**here, "jaxvae": record.get("jaxvae", here["jaxvae"])}
    return ", ".join(f"{name} {value}" for name, value in known.items())


def usage(name: str, modules: Sequence[str]) -> list[str]:
    """Return how the model is used, in Python and from a shell, with the modules that define parts of it."""
    imports, flags = (f", imports={list(modules)}", f" --import {' '.join(modules)}") if modules else ("", "")
    python = [
        "```python",
        "import jaxvae as jv",
        "",
        f"model = jv.load({json.dumps(name)}{imports})  # this folder",
        "```",
    ]
    shell = ["```sh", f"python -m jaxvae info {shlex.quote(name)}{flags}", "```"]
    return ["", "## Use it", "", *python, "", *shell]


# ---------- private


def _code(command: str | None) -> str:
    return f"`{command}`" if command else ""


def _flags(config: Mapping[str, Any], left_out: frozenset[str] = frozenset()) -> list[str]:
    """A configuration as flags: what is null has none, what is true or false has no value."""
    words = []
    for name, value in config.items():
        if value is None or name in left_out:
            continue
        values = value if isinstance(value, list) else [] if isinstance(value, bool) else [value]
        words += [f"--{'no-' * (value is False)}{name.replace('_', '-')}", *map(str, values)]
    return words
