"""The study machine: all combinations of some fields of a configuration, in one table and one figure.

What enters the step as an array (seed, learning rate, weights of a bound, rows of the data) trains in one program; what
changes shapes or networks gets a program each, one after another. Every run has a folder like any other.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae import viz
from jaxvae.errors import UserError
from jaxvae.reports.console import MAIN
from jaxvae.reports.report import report
from jaxvae.reports.summary import read_summary, write_summary
from jaxvae.runs.folder import FREE_FIELDS, drawing
from jaxvae.runs.options import Options
from jaxvae.runs.recorder import read_records
from jaxvae.runs.records import experiment_module, header
from jaxvae.runs.train import begin, of_part, refuse_layouts, train, train_sweep
from jaxvae.runs.trained import Trained
from jaxvae.studies.axes import Axes, combinations, name_of, written
from jaxvae.studies.experiment import Experiment, Row, Selection, array_fields
from jaxvae.studies.gains import main_metric, summarize, validation_score
from jaxvae.studies.table import diverged, table
from jaxvae.training import distributed
from jaxvae.types import DataSpec, Splits

KEPT = ("metrics", "valid", "steps", "best_step", "seconds", "compile_seconds", "images_per_second", "failure")


def run_study(
    experiment: Experiment, config: Any, axes: Axes, splits: Splits, spec: DataSpec, folder: Path, options: Options
) -> None:
    """Train all combinations of some fields, each in its sub-folder, and compare them.

    A study that was ended goes on with `--resume`, which may add values.

    Args:
      experiment: whose fields they are.
      config: whatever is not varied.
      axes: field -> its values.
      splits: the data.
      spec: of the data.
      folder: of the study, with `summary.json` and `figures/study.png`.
      options: how to run.

    Raises:
      UserError: if a combination is impossible, or all trainings diverged.
    """
    settings = combinations(axes)
    configs = [replace(config, **values) for values in settings]
    if experiment.check is not None:
        experiment.check(configs, options, splits, spec)
    groups = grouped(experiment, configs, spec)
    if any(len(group) > 1 for group in groups):
        refuse_layouts(options)
    assert experiment.build is not None
    record = {
        **header(experiment_module(experiment.build), spec, config),
        "num_train": len(splits.train.x),
        "init_from": options.init_from and str(options.init_from),
        "sweep": {name: [written(value) for value in values] for name, values in axes.items()},
    }
    # The parts check their own settings: more values may be asked for later.
    begin(folder, record, options.resume, FREE_FIELDS | set(axes))
    found: dict[int, Row] = {}
    for number, group in enumerate(groups):
        if distributed.is_primary() and len(groups) > 1:
            names = ", ".join(name_of(settings[i]) for i in group[:3]) + (", ..." if len(group) > 3 else "")
            print(f"Program {number + 1} of {len(groups)}: {len(group)} training{'s' * (len(group) > 1)}, {names}")
        places = [folder / name_of(settings[i]) for i in group]
        members = experiment.members or (lambda *a: train_members(experiment, *a))
        rows = members([configs[i] for i in group], places, options, splits, spec)
        found.update(zip(group, rows, strict=True))
    if distributed.is_primary():
        rows = [{**values, **{k: found[i][k] for k in KEPT if k in found[i]}} for i, values in enumerate(settings)]
        conclude(experiment, folder, axes, rows)


def train_members(
    experiment: Experiment,
    configs: Sequence[Any],
    folders: Sequence[Path],
    options: Options,
    splits: Splits,
    spec: DataSpec,
) -> list[Row]:
    """Train models that may share a program, and report each on its test part."""
    build, select = experiment.build, experiment.select or (lambda config, splits: Selection(splits))
    assert build is not None
    chosen = [select(config, splits) for config in configs]
    if len(configs) == 1:
        (config,), (folder,), (one,) = configs, folders, chosen
        trained = [train(config, build, one.trained_on(), spec, folder, of_part(folder, options))]
    else:
        rows, valid_rows = [one.rows for one in chosen], [one.valid_rows for one in chosen]
        trained = train_sweep(configs, build, splits, spec, folders, options, rows, valid_rows)
    return [row_of(one, selection.trained_on()) for one, selection in zip(trained, chosen, strict=True)]


def row_of(trained: Trained, splits: Splits) -> Row:
    """Return the summary of a run of a study, of one that diverged what made it."""
    if not distributed.is_primary():
        return {}
    return dict(trained.training) if diverged(trained) else report(trained, splits, brief=True)


def grouped(experiment: Experiment, configs: Sequence[Any], spec: DataSpec) -> list[list[int]]:
    """Return the places of configurations that can share a program: those that differ in arrays alone."""
    programs: dict[Any, list[int]] = {}
    for i, config in enumerate(configs):
        hparams: Mapping[str, Any] = {}
        if experiment.members is None:
            assert experiment.build is not None
            hparams = experiment.build(config, spec).trainable.hparams
        arrays = array_fields(experiment, config, hparams)
        fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
        programs.setdefault(tuple((k, v) for k, v in fields.items() if k not in arrays), []).append(i)
    return list(programs.values())


def conclude(experiment: Experiment, folder: Path, axes: Axes, rows: list[Row]) -> None:
    """Print the table of a study, write its `summary.json`, draw its figures.

    Rows of values that an earlier start of the study had are kept.
    """
    made = {name_of({name: row[name] for name in axes}) for row in rows}
    before = [row for row in read_summary(folder).get("runs", []) if all(name in row for name in axes)]
    rows = [*(row for row in before if name_of({name: row[name] for name in axes}) not in made), *rows]
    sound = [row for row in rows if "metrics" in row]
    if not sound:
        raise UserError(f"All {len(rows)} trainings diverged, the first: {rows[0].get('failure')}")
    units = [name for name in experiment.units if name in axes]
    variants = summarize(sound, list(axes), units if len(units) < len(axes) else [])
    best = min(sound, key=lambda row: validation_score(row["valid"]) if row.get("valid") else np.inf)
    name = name_of({field: best[field] for field in axes})
    print()
    print(table(variants))
    if best.get("valid"):
        print(f"Best on the validation part: {folder / name}, a run like any other; {folder} stands for it.")
    metrics = {**best["metrics"], **{field: best[field] for field in axes}}
    write_summary(
        folder, _totals(rows), metrics, best=name if best.get("valid") else None, variants=variants, runs=rows
    )
    with drawing(folder):
        _draw(folder, axes, rows, units, name)
        if experiment.draw is not None:
            experiment.draw(folder, sound)
    print(f"Figures:  {folder}/figures/")
    print(f"Numbers:  {folder}/summary.json")


# ---------- private


def _totals(rows: Sequence[Row]) -> dict[str, Any]:
    """Seconds of all trainings; those of one program share its time."""
    programs = {(row.get("seconds", 0.0), row.get("compile_seconds", 0.0)) for row in rows}
    seconds, compiling = (round(sum(column), 2) for column in zip(*programs, strict=True))
    return {"steps": max(row.get("steps", 0) for row in rows), "seconds": seconds, "compile_seconds": compiling}


def _draw(folder: Path, axes: Axes, rows: Sequence[Row], units: Sequence[str], best: str) -> None:
    compared = [name for name in axes if name not in units] or list(axes)
    main = main_metric([row["metrics"] for row in rows if "metrics" in row])
    values: dict[str, list[float]] = {}
    curves: dict[str, list[tuple[list[int], list[float]]]] = {}
    chosen = None
    for row in rows:
        label = ", ".join(written(row[name]) for name in compared)
        place = name_of({name: row[name] for name in axes})
        values.setdefault(label, []).append(row["metrics"][main] if "metrics" in row else float("nan"))
        records = [r for r in read_records(folder / place) if r["part"] == "valid"]
        curves.setdefault(label, []).append(([r["step"] for r in records], [r["loss"] for r in records]))
        chosen = label if place == best else chosen
    unit = f" [{MAIN[main].unit}]" if MAIN[main].unit else ""
    viz.save_study(
        folder / "figures" / "study.png", values, curves, f"{MAIN[main].name}{unit}", ", ".join(compared), chosen
    )
