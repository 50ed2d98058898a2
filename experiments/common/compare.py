"""Variants of one system under one protocol: the same data, seeds and noise, in a table with their paired gains."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.common.folder import FREE_FIELDS, open_folder, run_record, write_json
from experiments.common.loading import Build
from experiments.common.report import report, write_summary
from experiments.common.sweep import table, totals
from experiments.common.training import on_primary, train_sweep
from jaxvae.errors import UserError
from jaxvae.training import distributed
from jaxvae.types import Dataset, DataSpec, Splits

if TYPE_CHECKING:
    from experiments.run import Options

CONFIDENCE = 0.95
SHOWN = ("nll", "elbo", "reconstruction", "kl", "active_units")


class Unit(NamedTuple):
    """What every variant is trained for: a seed, or a class of images."""

    name: str  # as "seed=0"
    changes: dict[str, Any]  # of the configuration
    splits: Splits  # that it is evaluated on
    rows: np.ndarray | None = None  # of the training images, all if None
    valid_rows: np.ndarray | None = None  # of the validation images, all if None


def compare(
    name: str,
    config: Any,
    variants: Mapping[str, Any],
    units: Sequence[Unit],
    build: Build,
    splits: Splits,
    spec: DataSpec,
    folder: Path,
    options: "Options",
) -> list[dict[str, Any]]:
    """Train every variant for every unit, evaluate each on the test part, and state the gains over the first variant.

    The units of a variant train as one program, in sub-folders that are runs like any other; a comparison that was
    ended goes on with `--resume`.

    Args:
      name: of the experiment.
      config: of the comparison.
      variants: configurations by name.
      units: seeds (`seeds`) or classes (`classes`).
      build: (config, spec) -> Experiment.
      splits: the data.
      spec: of the data.
      folder: of the comparison.
      options: how to run.

    Returns:
      A row for each variant and unit, in process 0; none in others.
    """
    if options.sweep:
        raise UserError("--sweep is not for a comparison, which has seeds of its own: use --num-seeds.")
    record = run_record(name, config, spec, len(splits.train.x), options.init_from)
    listed = {field for field, value in record["config"].items() if isinstance(value, list)}
    # The parts check their own settings: more variants and seeds may be asked for later.
    on_primary(lambda: open_folder(folder, record, options.resume, FREE_FIELDS | listed | {"num_seeds"}))
    on_primary(lambda: write_json(folder / "config.json", record))
    rows: list[dict[str, Any]] = []
    finished = []
    for variant, chosen in variants.items():
        members = train_sweep(
            [replace(chosen, num_seeds=1, **unit.changes) for unit in units],
            build,
            splits,
            spec,
            [folder / f"{variant}_{unit.name}" for unit in units],
            options,
            [unit.rows for unit in units],
            [unit.valid_rows for unit in units],
        )
        finished += members
        if distributed.is_primary():
            for unit, member in zip(units, members, strict=True):
                if member.training["best_step"]:  # else it diverged before any evaluation
                    rows.append({"variant": variant, "unit": unit.name, **report(member, unit.splits)})
    if distributed.is_primary():
        summary = summarize(rows)
        print(table(summary))
        best = max(rows, key=lambda row: row["valid"]["elbo"])  # the validation part decides
        compact = [{key: row[key] for key in ("variant", "unit", "metrics", "valid", "seconds")} for row in rows]
        training = {"steps": config.steps, **totals(finished, config.batch_size)}
        of_best = {"best": f"{best['variant']}_{best['unit']}"}
        write_summary(folder, name, training, best["metrics"], **of_best, variants=summary, runs=compact)
    return rows


def seeds(config: Any, splits: Splits) -> list[Unit]:
    """Return `config.num_seeds` seeds, from the configuration's own upwards."""
    return [Unit(f"seed={seed}", {"seed": seed}, splits) for seed in range(config.seed, config.seed + config.num_seeds)]


def classes(splits: Splits) -> list[Unit]:
    """Return the classes of labelled images, each with its own part of the data.

    Raises:
      UserError: if there are no labels, or a class has no image in some part.
    """
    if any(part.labels is None for part in splits):
        raise UserError("A model for each class needs labels, which these data do not have: choose another --data.")
    units = []
    for label in np.unique(np.concatenate([part.labels for part in splits])):
        rows = [np.flatnonzero(part.labels == label) for part in splits]
        if not all(map(len, rows)):
            raise UserError(f"Class {label} has no image in some part of the data: choose data with more of them.")
        parts = Splits(
            *(Dataset(part.x[chosen], part.labels[chosen]) for part, chosen in zip(splits, rows, strict=True))
        )
        units.append(Unit(f"class={label}", {}, parts, rows[0], rows[1]))
    return units


def summarize(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return means over the units of every variant, and what it gains over the first one, unit by unit.

    `gain` is the mean of NLL_first - NLL_variant over the units that both have, nats; `gain_within` is half the length
    of its 95 % interval by Student's t, where there are two units or more.
    """
    names = list(dict.fromkeys(row["variant"] for row in rows))
    nlls = {name: {row["unit"]: row["metrics"]["nll"] for row in rows if row["variant"] == name} for name in names}
    summary = []
    for name in names:
        mine = [row["metrics"] for row in rows if row["variant"] == name]
        line: dict[str, Any] = {"variant": name, "units": len(mine)}
        line |= {metric: round(float(np.mean([one[metric] for one in mine])), 4) for metric in SHOWN}
        pairs = [nlls[names[0]][unit] - nll for unit, nll in nlls[name].items() if unit in nlls[names[0]]]
        if name != names[0] and pairs:
            line["gain"] = round(float(np.mean(pairs)), 4)
            if len(pairs) > 1:
                line["gain_within"] = round(half_interval(np.array(pairs)), 4)
        summary.append(line)
    return summary


def half_interval(values: np.ndarray) -> float:
    """Return half the length of the 95 % interval of a mean, by Student's t."""
    from scipy.stats import t

    quantile = t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)
    return float(quantile * np.std(values, ddof=1) / np.sqrt(len(values)))
