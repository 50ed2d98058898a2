"""The curves of a training as the page shows them: a few hundred points for each metric."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxvae.runs.files import read_records

MOST = 400  # points of a curve
FIRST = ("loss", "elbo", "nll", "reconstruction", "kl")
UNSHOWN = frozenset({"step", "part", "skipped"})

Curve = list[tuple[int, float]]  # (step, value)


def curves_of(folder: Path) -> dict[str, dict[str, Curve]]:
    """Return the metrics of a run's training: name -> {"train": curve, "valid": curve}, the main ones first.

    A curve of many points is thinned by means over equally many; numbers that are not finite are left out.
    """
    records = by_player(read_records(folder))
    found = {name for record in records for name in record} - UNSHOWN
    order = [*(name for name in FIRST if name in found), *sorted(found - set(FIRST))]
    series = {name: {part: _curve(records, name, part) for part in ("train", "valid")} for name in order}
    return {name: parts for name, parts in series.items() if len(parts["train"]) + len(parts["valid"]) > 1}


def by_player(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the records of a training; of an adversarial one with the losses by what they are of.

    There the loss of training is that of the discriminator, whose turn comes first, and the loss of validation is the
    energy score: two curves in one panel would be compared.

    Args:
      records: lines of `metrics.jsonl`.
    """
    if not any("energy_score" in record for record in records):
        return [dict(record) for record in records]
    return [
        {("loss_discriminator" if name == "loss" else name): value for name, value in record.items()}
        if record["part"] == "train"
        else {name: value for name, value in record.items() if name != "loss"}
        for record in records
    ]


# ---------- private


def _curve(records: list, name: str, part: str) -> Curve:
    points = [(r["step"], r[name]) for r in records if r["part"] == part and math.isfinite(r.get(name, math.nan))]
    size = -(-len(points) // MOST) or 1
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(group[-1][0], float(f"{sum(value for _, value in group) / len(group):.6g}")) for group in groups]
