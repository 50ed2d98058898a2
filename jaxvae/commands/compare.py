"""Compare runs: the settings in which they differ, their numbers, their curves over each other."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxvae.commands.output import check_place, writing
from jaxvae.commands.run_flags import CompareFlags
from jaxvae.errors import UserError
from jaxvae.runs.files import read_records
from jaxvae.runs.measures import MAIN, main_numbers
from jaxvae.runs.pretrained import model_at
from jaxvae.runs.state import RunState, members, state_of
from jaxvae.viz import save_compared

LONGEST = 30  # characters of a value
MOST_PARTS = 12  # parts of models in which they differ
TRAINING = ("best_step", "seconds", "images_per_second")
# Settings that change no model: how often things are written, and what follows from the data.
KEEPING = frozenset({"eval_every", "log_every", "save_every", "eval_batch_size"})
# Settings of the training: where runs differ in others, these say how their models do.
OF_TRAINING = frozenset({"steps", "batch_size", "seed", "patience", "ema_decay", "clip_norm", "skip_norm", "data"})


def run(flags: CompareFlags) -> None:
    """Print the table, and draw the curves where a place is given."""
    place = None
    if flags.out is not None:
        place = check_place(flags.out, overwrite=flags.overwrite, endings=(".png",), folder=False)
    found = list(dict.fromkeys(member for given in flags.runs for member in members(model_at(given))))
    if len(found) < 2:
        raise UserError(f"There is {found[0] if found else 'no run'} to be compared: expected two runs or more.")
    states = {str(folder): state_of(folder) for folder in found}
    for name, state in states.items():
        if state.kind == "damaged":
            raise UserError(f"{name} cannot be compared: {state.problem}")
    names = shortest(list(states))
    table = rows(list(states.values()))
    print_table([("", names), *table])
    datas = {json.dumps([s.record.get("data"), s.record.get("spec")]) for s in states.values()}
    if len(datas) > 1:
        print(
            "note: the runs are of different data, so that their numbers are not of the same images.", file=sys.stderr
        )
    if place is not None:
        records = {name: read_records(Path(folder)) for name, folder in zip(names, states, strict=True)}
        if not any("loss" in line for lines in records.values() for line in lines):
            raise UserError("None of these runs has a metrics.jsonl with losses, of which curves could be drawn.")
        with writing(place) as path:
            save_compared(path, records)
        print(f"Curves: {place}")


def rows(states: Sequence[RunState]) -> list[tuple[str, list[str]]]:
    """Return the rows of the table, a name with a value for each run: settings, then numbers."""
    kinds = [("trained by", [_plain(s.record.get("experiment")) for s in states]), ("state", [str(s) for s in states])]
    settings = differing([_setting(state) for state in states])
    parts = [] if {name for name, _ in settings} - OF_TRAINING else different_parts(states)
    numbers = [main_numbers(_metrics(state)) for state in states]
    columns = [name for name in MAIN if any(name in found for found in numbers)]
    metrics = [(name, [_number(found.get(name)) for found in numbers]) for name in columns]
    valid = [("valid loss", [_number(s.best.get("loss")) for s in states])] if any(s.best for s in states) else []
    training = [(name, [_number(s.summary.get(name)) for s in states]) for name in TRAINING]
    return [
        *(kind for kind in kinds if len(set(kind[1])) > 1),
        *settings,
        *parts,
        *metrics,
        *valid,
        *(row for row in training if any(row[1])),
    ]


def differing(settings: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return the settings that are not the same in all, with the value of each; "" of one that has no such setting."""
    names = dict.fromkeys(name for one in settings for name in one)
    values = {name: [_plain(one[name]) if name in one else "" for one in settings] for name in names}
    return [(name, row) for name, row in values.items() if len(set(row)) > 1]


def different_parts(states: Sequence[RunState]) -> list[tuple[str, list[str]]]:
    """Return the parts in which models differ, by their paths; of parts of other classes the classes alone."""
    found: list[tuple[str, list[str]]] = []

    def compare(nodes: Sequence[Any], path: str) -> None:
        first = nodes[0]
        if all(isinstance(node, dict) and node.get("class") == first.get("class") for node in nodes):
            for key in dict.fromkeys(key for node in nodes for key in node):
                compare([node.get(key) for node in nodes], f"{path}.{key}" if path else key)
        elif any(node != first for node in nodes):
            named = [node.get("class", node) if isinstance(node, dict) else node for node in nodes]
            found.append((path, [_plain(node) for node in named]))

    compare([state.record.get("system", {}) for state in states], "")
    shown = [(path.removeprefix("parts."), row) for path, row in found if not path.startswith("parts.spec")]
    return shown[:MOST_PARTS] + [(f"... {len(shown) - MOST_PARTS} more", [""] * len(states))] * (
        len(shown) > MOST_PARTS
    )


def shortest(names: Sequence[str]) -> list[str]:
    """Return paths without the folders that all share."""
    parts = [Path(name).parts for name in names]
    shared = 0
    while all(len(one) > shared + 1 for one in parts) and len({one[: shared + 1] for one in parts}) == 1:
        shared += 1
    return ["/".join(one[shared:]) for one in parts]


def print_table(table: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Print rows, the names to the left and the values to the right of their columns."""
    width = max(len(name) for name, _ in table)
    widths = [max(len(values[i]) for _, values in table) for i in range(len(table[0][1]))]
    for name, values in table:
        cells = (value.rjust(size) for value, size in zip(values, widths, strict=True))
        print("  ".join([name.ljust(width), *cells]).rstrip())


# ---------- private


def _setting(state: RunState) -> Mapping[str, Any]:
    shape = state.record.get("spec", {}).get("shape")
    config = {name: value for name, value in state.record["config"].items() if name not in KEEPING}
    return {**config, "shape of an image": shape, "training images": state.record.get("num_train")}


def _metrics(state: RunState) -> Mapping[str, Any]:
    metrics = state.summary.get("metrics")
    return metrics if isinstance(metrics, Mapping) else {}


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else f"...{text[3 - LONGEST :]}"


def _number(value: Any) -> str:
    if not isinstance(value, int | float):
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.5g}"
