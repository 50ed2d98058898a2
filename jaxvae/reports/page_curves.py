"""The curves of a training as the page shows them: a few hundred points for each metric."""

import math
from pathlib import Path

from jaxvae.runs.files import read_records

MOST = 400  # points of a curve
FIRST = ("loss", "elbo", "nll", "reconstruction", "kl")
UNSHOWN = frozenset({"step", "part", "skipped"})

Curve = list[tuple[int, float]]  # (step, value)


def curves_of(folder: Path) -> dict[str, dict[str, Curve]]:
    """Return the metrics of a run's training: name -> {"train": curve, "valid": curve}, the main ones first.

    A curve of many points is thinned by means over equally many; numbers that are not finite are left out.
    """
    records = read_records(folder)
    found = {name for record in records for name in record} - UNSHOWN
    order = [*(name for name in FIRST if name in found), *sorted(found - set(FIRST))]
    series = {name: {part: _curve(records, name, part) for part in ("train", "valid")} for name in order}
    return {name: parts for name, parts in series.items() if len(parts["train"]) + len(parts["valid"]) > 1}


# ---------- private


def _curve(records: list, name: str, part: str) -> Curve:
    points = [(r["step"], r[name]) for r in records if r["part"] == part and math.isfinite(r.get(name, math.nan))]
    size = -(-len(points) // MOST) or 1
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(group[-1][0], float(f"{sum(value for _, value in group) / len(group):.6g}")) for group in groups]
