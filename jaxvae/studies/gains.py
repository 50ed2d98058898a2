"""Means over seeds of every variant, and its paired gains over the reference: the same seeds, data and noise."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxvae.runs.measures import MAIN
from jaxvae.studies.axes import Axes, name_of
from jaxvae.studies.table import half_interval

SHOWN = 5  # metrics of a variant beside the main one


# Fields whose values give validation numbers of different things: no run of such a study is the best one.
INCOMPARABLE = frozenset({"data", "image_size", "likelihood", "sigma", "label", "loss"})
CRITERIA = ("elbo", "nll", "reconstruction", "cross_entropy", "loss")  # of the validation set, the first that there is


def summarize(
    rows: Sequence[Mapping[str, Any]], axes: Axes, units: Sequence[str], *, apart: bool = False
) -> list[dict[str, Any]]:
    """Return a row for every variant: means over its units, and what it gains over the first value, unit by unit.

    Gains are over the variant that has the first value of the first field that is compared, and the same in all others,
    or of fields that are varied one at a time the first of all; where that has diverged there are none.

    `gain` is the mean improvement of the main metric, positive where the variant is better, over the units that both
    have; `gain_within` is half the length of its 95 % interval by Student's t. `sd` is the standard deviation of the
    main metric between units. `kl_saved` and `kl_saved_within` say the same of the KL, where there is one.

    Args:
      rows: of the runs: the swept fields, "metrics", ....
      axes: the swept fields with their values.
      units: those of them over which means are taken.
      apart: whether the others are varied one at a time.
    """
    main = main_metric([row["metrics"] for row in rows])
    sign = -1.0 if MAIN[main].better == "higher" else 1.0
    variants: dict[str, dict[str, Mapping[str, Any]]] = {}
    values: dict[str, dict[str, Any]] = {}
    seconds: dict[str, set[float]] = {}  # of programs: the runs of one share its time
    for row in rows:
        chosen = {field: row[field] for field in axes if field not in units}
        values[name_of(chosen)] = chosen
        variants.setdefault(name_of(chosen), {})[name_of({f: row[f] for f in axes if f in units})] = row["metrics"]
        seconds.setdefault(name_of(chosen), set()).add(row.get("seconds", 0.0))
    compared = list(next(iter(values.values())))
    leading = compared if apart else compared[:1]  # the fields of which a reference has the first values
    summary = []
    for name, of_units in variants.items():
        reference = name_of({**values[name], **{field: axes[field][0] for field in leading}})
        first = variants.get(reference, {})
        line: dict[str, Any] = {**values[name], "runs": len(of_units), **means(list(of_units.values()), main)}
        if len(of_units) > 1:
            line["sd"] = float(np.std([metrics[main] for metrics in of_units.values()], ddof=1))
        if of_units is not first and first:
            both = [unit for unit in of_units if unit in first]
            line |= _gain("gain", [sign * (first[unit][main] - of_units[unit][main]) for unit in both])
            if main == "nll" and both and all("kl" in metrics for metrics in [*first.values(), *of_units.values()]):
                line |= _gain("kl_saved", [first[unit]["kl"] - of_units[unit]["kl"] for unit in both])
        line["seconds"] = sum(seconds[name])
        summary.append({key: round(value, 4) if isinstance(value, float) else value for key, value in line.items()})
    return summary


def main_metric(metrics: Sequence[Mapping[str, Any]]) -> str:
    """Return the first of the main numbers that all runs have and that has a better side."""
    return next(name for name in MAIN if MAIN[name].better and all(name in one for one in metrics))


def means(metrics: Sequence[Mapping[str, Any]], main: str) -> dict[str, float]:
    """Return the means of the main metric and of the next ones that a person reads."""
    others = [name for name in MAIN if name != main and all(isinstance(one.get(name), int | float) for one in metrics)]
    return {name: float(np.mean([one[name] for one in metrics])) for name in [main, *others[:SHOWN]]}


def best_run(rows: Sequence[Mapping[str, Any]], axes: Axes) -> tuple[Mapping[str, Any], str] | None:
    """Return the run that is best on the validation set, and by what, None where they have no common measure.

    The plain ELBO where there is one, since losses of different objectives and weights of the KL have no common
    measure; else the likelihood, the reconstruction error, the cross-entropy or, last, the loss.

    Args:
      rows: of the runs that did not diverge, with "valid".
      axes: the swept fields with their values.
    """
    valid = [row.get("valid") or {} for row in rows]
    criteria = {next((name for name in CRITERIA if name in one), None) for one in valid}
    if len(criteria) > 1 or None in criteria or INCOMPARABLE & set(axes):
        return None
    (criterion,) = criteria
    sign = -1.0 if criterion == "elbo" else 1.0
    return min(rows, key=lambda row: sign * row["valid"][criterion]), str(criterion)


# ---------- private


def _gain(name: str, differences: Sequence[float]) -> dict[str, float]:
    if not differences:
        return {}
    found = {name: float(np.mean(differences))}
    if len(differences) > 1:
        found[f"{name}_within"] = half_interval(np.array(differences))
    return found
