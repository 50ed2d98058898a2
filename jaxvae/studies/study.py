"""Studies: train all combinations of some fields of a configuration, and compare them in a table and a figure.

What enters the step as an array (seed, learning rate, weights of a bound, rows of the data) trains in one program; what
changes shapes or networks gets a program each, one after another. Every run has a folder like any other.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxvae import viz
from jaxvae.errors import Diverged, UserError
from jaxvae.reports.next_command import next_command
from jaxvae.reports.report import Evaluation, report
from jaxvae.reports.report_page import write_report
from jaxvae.reports.summary import write_summary
from jaxvae.runs.files import read_json, read_records
from jaxvae.runs.folder import FREE_FIELDS, drawing, open_folder
from jaxvae.runs.load import load
from jaxvae.runs.measures import MAIN
from jaxvae.runs.options import Options
from jaxvae.runs.records import experiment_module, header
from jaxvae.runs.train import begin, of_part, refuse_layouts, train, train_sweep
from jaxvae.runs.trained import Trained
from jaxvae.studies.axes import NONE, Axes, combinations, name_of, parse_axes, union, written
from jaxvae.studies.experiment import Experiment, Row, Selection, array_fields, load_data
from jaxvae.studies.gains import best_run, main_metric, summarize
from jaxvae.studies.printing import print_study
from jaxvae.studies.table import diverged
from jaxvae.training import distributed
from jaxvae.types import DataSpec, Splits

TIMES = ("seconds", "cpu_seconds", "compile_seconds")
KEPT = ("metrics", "valid", "steps", "best_step", *TIMES, "images_per_second", "failure")


def run_study(experiment: Experiment, config: Any, axes: Axes, folder: Path, options: Options) -> None:
    """Train all combinations of some fields, each in its sub-folder, and compare them.

    A study that was ended goes on with `--resume`, which may add values of the same fields; all of its runs are then
    brought to the same steps.

    Args:
      experiment: whose fields they are.
      config: whatever is not varied.
      axes: field -> its values; {} of a resumed study takes those that it was started with.
      folder: of the study, with `summary.json` and `figures/study.png`.
      options: how to run.

    Raises:
      UserError: if a combination is impossible, or all trainings diverged.
    """
    apart = options.one_at_a_time
    if options.resume:
        axes, apart = resumed_axes(folder, config, axes)
    units = [name for name in experiment.units if name in axes]
    settings = combinations(axes, units if apart else None)
    names = [name_of(values) for values in settings]
    if len(set(names)) < len(names):
        raise UserError(f"Two combinations of --sweep have the folder {next(n for n in names if names.count(n) > 1)}.")
    configs = [replace(config, **values) for values in settings]
    groups = grouped(experiment, configs)
    check_groups(experiment, configs, groups, options)
    assert experiment.build is not None
    record = {
        **header(experiment_module(experiment.build), groups[0].spec, config),
        "num_train": len(jax.tree.leaves(groups[0].splits.train.x)[0]),
        "init_from": options.init_from and str(options.init_from),
        "sweep": {name: [written(value) for value in values] for name, values in axes.items()},
        **({"one_at_a_time": True} if apart else {}),
    }
    # The parts check their own settings: more values may be asked for later.
    begin(folder, record, options.resume, FREE_FIELDS | set(axes))
    found: dict[int, Row] = {}
    for number, group in enumerate(groups):
        mine = [names[i] for i in group.members]
        if distributed.is_primary() and len(groups) > 1:
            listed = ", ".join(mine[:3]) + (", ..." if len(mine) > 3 else "")
            print(f"Program {number + 1} of {len(groups)}: {len(mine)} training{'s' * (len(mine) > 1)}, {listed}")
        members = experiment.members or (lambda *a: train_members(experiment, *a))
        places = [folder / name for name in mine]
        try:
            rows = members([configs[i] for i in group.members], places, options, group.splits, group.spec)
        except Diverged as error:  # of a program in which nothing is left to go on
            rows = [{"failure": str(error)} for _ in mine]
        found.update(zip(group.members, rows, strict=True))
    if distributed.is_primary():
        kept = [{k: found[i][k] for k in KEPT if k in found[i]} for i in range(len(settings))]
        rows = [{**values, "run": name, **row} for values, name, row in zip(settings, names, kept, strict=True)]
        conclude(experiment, folder, axes, rows, apart=apart)


def resumed_axes(folder: Path, config: Any, axes: Axes) -> tuple[Axes, bool]:
    """Return what a resumed study varies, what it was started with and new values, and whether one at a time.

    Raises:
      UserError: if the folder is that of one model, or of a study of other fields.
    """
    open_folder(folder, {}, resume=True)
    record = read_json(folder / "config.json")
    stored = record.get("sweep")
    if not stored:
        raise UserError(f"{folder} is a run of one model: resume it with --sweep {NONE}.")
    before = parse_axes([f"{name}={','.join(values)}" for name, values in stored.items()], config)
    return union(before, axes), bool(record.get("one_at_a_time"))


def train_members(
    experiment: Experiment,
    configs: Sequence[Any],
    folders: Sequence[Path],
    options: Options,
    splits: Splits,
    spec: DataSpec,
) -> list[Row]:
    """Train models that may share a program, and report each on its test set."""
    build, select = experiment.build, experiment.select or (lambda config, splits: Selection(splits))
    assert build is not None
    chosen = [select(config, splits) for config in configs]
    if len(configs) == 1:
        (config,), (folder,), (one,) = configs, folders, chosen
        trained = [train(config, build, one.trained_on(), spec, folder, of_part(folder, options))]
    else:
        rows, valid_rows = [one.rows for one in chosen], [one.valid_rows for one in chosen]
        trained = train_sweep(configs, build, splits, spec, folders, options, rows, valid_rows)
    evaluation = experiment.evaluation
    return [row_of(one, selection.trained_on(), evaluation) for one, selection in zip(trained, chosen, strict=True)]


def row_of(trained: Trained, splits: Splits, evaluation: Evaluation | None = None) -> Row:
    """Return the summary of a run of a study, or why it diverged."""
    if not distributed.is_primary():
        return {}
    if diverged(trained):
        return dict(trained.training)
    return report(trained, splits, evaluation=evaluation, brief=True)


class Group(NamedTuple):
    """Configurations that can share a program, and their data."""

    members: list[int]  # places among all configurations
    splits: Splits
    spec: DataSpec


def grouped(experiment: Experiment, configs: Sequence[Any]) -> list[Group]:
    """Group configurations that can share a program: those with the same data that differ in arrays alone."""
    loaded: dict[Any, tuple[Splits, DataSpec]] = {}
    groups: dict[Any, Group] = {}
    for i, config in enumerate(configs):
        fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
        of_data = tuple(fields.get(name) for name in experiment.data_fields)
        if of_data not in loaded:
            loaded[of_data] = load_data(experiment, config)
        splits, spec = loaded[of_data]
        hparams: Mapping[str, Any] = {}
        if experiment.members is None:
            assert experiment.build is not None
            hparams = experiment.build(config, spec).trainable.hparams
        arrays = array_fields(experiment, config, hparams) - set(experiment.data_fields)
        shapes = tuple((name, value) for name, value in fields.items() if name not in arrays)
        groups.setdefault(shapes, Group([], splits, spec)).members.append(i)
    return list(groups.values())


def check_groups(experiment: Experiment, configs: Sequence[Any], groups: Sequence[Group], options: Options) -> None:
    """Raise for what cannot be trained; what the experiment's check says of data it says once."""
    of_data: dict[int, list[Group]] = {}
    for group in groups:
        of_data.setdefault(id(group.splits), []).append(group)
        if len(group.members) > 1:
            refuse_layouts(options)
    if experiment.check is None:
        return
    for same in of_data.values():
        members = [configs[i] for group in same for i in group.members]
        experiment.check(members, options, same[0].splits, same[0].spec)


def conclude(experiment: Experiment, folder: Path, axes: Axes, rows: list[Row], *, apart: bool = False) -> None:
    """Print the summary of a study, write its `summary.json`, draw its figures."""
    sound = [row for row in rows if "metrics" in row]
    if not sound:
        raise UserError(f"All {len(rows)} trainings diverged, the first: {rows[0].get('failure')}")
    units = [name for name in experiment.units if name in axes]
    variants, best = summarize(sound, axes, units, apart=apart), best_run(sound, axes)
    name = best[0]["run"] if best else None
    metrics = {**best[0]["metrics"], **{field: best[0][field] for field in axes}} if best else {}
    write_summary(folder, _totals(rows), metrics, best=name, variants=variants, runs=rows)
    with drawing(folder):
        compared = [field for field in axes if field not in units] or list(axes)
        labels = [label_of({field: row[field] for field in compared}, axes, apart=apart) for row in rows]
        _draw(folder, rows, labels, ", ".join(compared), name)
        if experiment.draw is not None:
            experiment.draw(folder, sound)
        write_report(folder)
    print_study(experiment.name, folder, rows, variants, units)
    if best:
        print(f"Best run by its {best[1].replace('_', ' ')} on the validation set: {name}")
        print_next(folder / str(name), folder)
    else:
        print("No run is the best one: their validation numbers are of different things.")


def label_of(values: Mapping[str, Any], axes: Axes, *, apart: bool) -> str:
    """Return what the figure calls a variant: its values, or what differs from the first values."""
    if not apart:
        return ", ".join(map(written, values.values()))
    return name_of({field: value for field, value in values.items() if value != axes[field][0]}) or "first values"


def print_next(run: Path, place: Path) -> None:
    """Print a command that uses a run which a comparison has trained, unless nothing of it can be loaded.

    Args:
      run: its folder.
      place: the folder that stands for it, itself or that of its study.
    """
    if (run / "checkpoints").exists() and (command := next_command(load(run), place)):
        print(f"Use it:   {command}")


# ---------- private


def _totals(rows: Sequence[Row]) -> dict[str, Any]:
    """Seconds of all trainings; those of one program share its time."""
    programs = {tuple(row.get(name, 0.0) for name in TIMES) for row in rows}
    sums = [round(sum(column), 2) for column in zip(*programs, strict=True)]
    return {"steps": max(row.get("steps", 0) for row in rows), **dict(zip(TIMES, sums, strict=True))}


def _draw(folder: Path, rows: Sequence[Row], labels: Sequence[str], compared: str, best: str | None) -> None:
    main = main_metric([row["metrics"] for row in rows if "metrics" in row])
    values: dict[str, list[float]] = {}
    curves: dict[str, list[tuple[list[int], list[float]]]] = {}
    chosen = None
    for row, label in zip(rows, labels, strict=True):
        values.setdefault(label, []).append(row["metrics"][main] if "metrics" in row else float("nan"))
        records = [r for r in read_records(folder / row["run"]) if r["part"] == "valid"]
        curves.setdefault(label, []).append(([r["step"] for r in records], [r["loss"] for r in records]))
        chosen = label if row["run"] == best else chosen
    unit = f" [{MAIN[main].unit}]" if MAIN[main].unit else ""
    viz.save_study(folder / "figures" / "study.png", values, curves, f"{MAIN[main].name}{unit}", compared, chosen)
