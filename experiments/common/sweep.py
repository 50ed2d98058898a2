"""Sweeps: all combinations of some settings, trained as one program, in one table and one figure."""

import itertools
import typing
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.common.folder import read_records, run_record
from experiments.common.loading import Build, Finished
from experiments.common.report import report, write_summary
from experiments.common.training import begin, evaluation_batch, train_sweep
from jaxvae import viz
from jaxvae.errors import UserError
from jaxvae.training import distributed, make_evaluator
from jaxvae.types import DataSpec, Experiment, Splits

if TYPE_CHECKING:
    from experiments.run import Options


def run_sweep(config: Any, build: Build, splits: Splits, spec: DataSpec, folder: Path, options: "Options") -> None:
    """Train all combinations of `options.sweep`, each in its sub-folder, and evaluate the best on the test part.

    Args:
      config: whatever is not varied.
      build: (config, spec) -> Experiment.
      splits: the data.
      spec: of the data.
      folder: of the sweep, with `summary.json` and `figures/sweep.png`.
      options: how to run.
    """
    experiment = build(config, spec)
    settings = combinations(config, options.sweep, experiment)
    record = {**run_record(experiment.name, config, spec, len(splits.train.x), options.init_from), "sweep": settings}
    begin(folder, record, options.resume)
    configs = [replace(config, **values) for values in settings]
    finished = train_sweep(configs, build, splits, spec, [folder / name_of(values) for values in settings], options)
    if not distributed.is_primary():
        return

    rows = [{**values, **validation(member, splits)} for values, member in zip(settings, finished, strict=True)]
    order = sorted(range(len(rows)), key=lambda i: rows[i]["loss"])  # the validation part decides
    best = finished[order[0]]
    metrics = report(best, splits)["metrics"]
    training = {"steps": config.steps, **totals(finished, config.batch_size)}
    write_summary(folder, experiment.name, training, metrics, best=best.folder.name, runs=rows)
    print(table([rows[i] for i in order]))
    print(f"Best on the validation part: {best.folder}, a run like any other.")
    viz.save_sweep(folder / "figures" / "sweep.png", settings, [row["loss"] for row in rows], curves(finished))


def combinations(config: Any, axes: Sequence[str], experiment: Experiment) -> list[dict[str, Any]]:
    """Read NAME=V1,V2,... for each axis and return all combinations of their values.

    Raises:
      UserError: if a setting is not there, is a shape or a choice of the program, or a value is not of its type.
    """
    types = typing.get_type_hints(type(config))
    allowed = ["seed", "learning_rate", *(name for name in experiment.hparams if name in types)]
    values: dict[str, list[Any]] = {}
    for axis in axes:
        name, equals, listed = axis.partition("=")
        name = name.replace("-", "_")
        if not equals or name not in allowed:
            raise UserError(
                f"--sweep {axis} is not possible: expected NAME=VALUE,VALUE,... with one of {', '.join(allowed)}; what "
                "shapes the program needs a run for each value."
            )
        kind = types[name]
        try:
            values[name] = [kind(value) for value in listed.split(",")]
        except ValueError as error:
            raise UserError(f"--sweep {axis} has a value that is no {kind.__name__}: {error}.") from error
        if len(set(values[name])) < len(values[name]):
            raise UserError(f"--sweep {axis} has a value twice: each is one training.")
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]


def name_of(values: dict[str, Any]) -> str:
    """Return the name of a member's folder."""
    return "_".join(f"{name}={value:.15g}" for name, value in values.items())  # digits that tell all values apart


def validation(finished: Finished, splits: Splits) -> dict[str, Any]:
    """Return mean values of the validation part, of the best parameters; a loss of inf if it diverged before any."""
    if not finished.training["best_step"]:
        return {"loss": float("inf"), "failure": finished.training["failure"]}
    evaluate = make_evaluator(finished.experiment, min(evaluation_batch(finished.experiment.spec), len(splits.valid.x)))
    values = evaluate(finished.params, finished.model_state, splits.valid)
    means = {name: float(np.mean(value)) for name, value in values.items() if value.ndim == 1}
    return {**means, **{name: value for name, value in finished.training.items() if name in ("best_step", "failure")}}


def diverged(finished: Finished) -> bool:
    """Whether a training diverged, before its first evaluation or later: it belongs into no mean."""
    return "failure" in finished.training


def require_sound(rows: Sequence[Any], finished: Sequence[Finished]) -> None:
    """Raise a `UserError` if no training is left to compare, all having diverged."""
    if not rows:
        raise UserError(f"All {len(finished)} trainings diverged, the first: {finished[0].training['failure']}")


def totals(finished: Sequence[Finished], batch_size: int) -> dict[str, float]:
    """Return seconds and images of trainings; those of one program share its time."""
    programs = {(one.training["seconds"], one.training["compile_seconds"]) for one in finished}
    seconds = sum(training for training, _ in programs)
    images = sum(one.training["steps"] for one in finished) * batch_size
    return {
        "seconds": round(seconds, 2),
        "compile_seconds": round(sum(compiling for _, compiling in programs), 2),
        "images_per_second": round(images / max(seconds, 1e-9), 1),
    }


def curves(finished: Sequence[Finished]) -> list[tuple[list[int], list[float]]]:
    """Return steps and losses of the evaluations of every member."""
    records = [[r for r in read_records(one.folder) if r["part"] == "valid"] for one in finished]
    return [([r["step"] for r in part], [r["loss"] for r in part]) for part in records]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as text, a column for each of their numbers."""
    shown = lambda value: isinstance(value, int | float) or (isinstance(value, str) and len(value) <= 16)  # noqa: E731
    names = list(dict.fromkeys(name for row in rows for name, value in row.items() if shown(value)))
    said = lambda value: f"{value:.5g}" if isinstance(value, int | float) else str(value)  # noqa: E731
    lines = [names, *([said(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
