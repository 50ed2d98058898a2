"""Training of experiments into runs' folders, alone or many together."""

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.errors import Diverged, UserError
from jaxvae.runs.folder import FREE_FIELDS, on_primary, open_folder, read_json, write_json
from jaxvae.runs.load import load_start
from jaxvae.runs.options import Options
from jaxvae.runs.recorder import Recorder
from jaxvae.runs.records import run_record
from jaxvae.runs.resumption import resumable_together, saved_steps
from jaxvae.runs.signals import told_to_end
from jaxvae.runs.trained import Trained
from jaxvae.training import (
    Checkpoints,
    FitResult,
    Layout,
    Member,
    Settings,
    choose_layout,
    distributed,
    evaluation_batch_size,
    fit,
    fit_sweep,
)
from jaxvae.training.optimizers import injected_learning_rate
from jaxvae.training.parallel import sweep_layout
from jaxvae.training.state import abstract_batch, abstract_state
from jaxvae.training.trainer import INIT_EXAMPLES, common_step
from jaxvae.types import DataSpec, Splits, System

Build = Callable[[Any, DataSpec], System]


def train(
    config: Any,
    build: Build,
    splits: Splits,
    spec: DataSpec,
    folder: Path,
    options: Options,
    stage: Mapping[str, Any] | None = None,
) -> Trained:
    """Train one model of an experiment in its folder.

    Args:
      config: of the experiment; written to the folder.
      build: (config, spec) -> System.
      splits: the data.
      spec: of the data.
      folder: made here.
      options: how to run.
      stage: the record of the first stage, on whose codes this one is built; it becomes part of the run's.

    Returns:
      The best state on the validation part.

    Raises:
      UserError: for an existing folder, a configuration that does not fit it, or a training that diverged.
      SystemExit: with status 0, if the process was told to end: everything is saved.
    """
    run = _Run(config, build(config, spec), folder, build, stage=stage)
    return _train([run], splits, spec, options, together=False)[0]


def train_sweep(
    configs: Sequence[Any],
    build: Build,
    splits: Splits,
    spec: DataSpec,
    folders: Sequence[Path],
    options: Options,
    rows: Sequence[np.ndarray | None] | None = None,
    valid_rows: Sequence[np.ndarray | None] | None = None,
    stage: Mapping[str, Any] | None = None,
) -> list[Trained]:
    """Train models that differ in their seeds, hyper-parameters and rows alone, as one program.

    Each has a folder of its own, like any other run's. Folders that have checkpoints are resumed where
    `options.resume` says so, together where they have a step in common.

    Args:
      configs: one for each member.
      build: (config, spec) -> System; its hparams, and the learning rate and the seed of the config, may differ.
      splits: the data.
      spec: of the data.
      folders: one for each member.
      options: how to run.
      rows: of the training images that each member learns from; None takes all.
      valid_rows: of the validation images that each member is evaluated on; None takes all.
      stage: as of `train`.

    Returns:
      One for each member, in their order; `training["failure"]` says why one diverged, and its `best_step` is 0 if
      that was before the first evaluation.

    Raises:
      UserError: as `train`; and if all members diverged before their first evaluation.
    """
    everything = [None] * len(configs)
    each = zip(configs, folders, rows or everything, valid_rows or everything, strict=True)
    runs = [
        _Run(config, build(config, spec), folder, build, mine, valid, stage) for config, folder, mine, valid in each
    ]
    steps = {i: saved_steps(folder) if options.resume else frozenset() for i, folder in enumerate(folders)}
    trained: dict[int, Trained] = {}
    for group in resumable_together(steps):
        part = _train([runs[i] for i in group], splits, spec, options, together=True)
        trained.update(zip(group, part, strict=True))
    if not any(one.training["best_step"] for one in trained.values()):
        raise Diverged(f"All {len(runs)} trainings of the sweep diverged, the first: {trained[0].training['failure']}")
    return [trained[i] for i in range(len(runs))]


def begin(folder: Path, record: dict[str, Any], resume: bool, free: frozenset[str] = FREE_FIELDS) -> None:
    """Make the folder of a run of several trainings, or check that a resumed one is the same; write `config.json`.

    What is written there already and `record` does not have, which a last stage adds, stays.
    """

    def write() -> None:
        path = folder / "config.json"
        write_json(path, {**(read_json(path) if path.exists() else {}), **record})

    on_primary(lambda: open_folder(folder, record, resume, free))
    on_primary(write)


def of_part(folder: Path, options: Options) -> Options:
    """Return the options of one training of several in a run: `--resume` continues those that were begun."""
    return replace(options, resume=options.resume and (folder / "config.json").exists())


def settings_of(config: Any, splits: Splits, spec: DataSpec, save_every: int = 0) -> Settings:
    """Return the settings of a training from a `TrainingConfig`."""
    return Settings(
        steps=config.steps,
        batch_size=config.batch_size,
        eval_every=config.eval_every,
        log_every=config.log_every,
        save_every=save_every,
        eval_batch_size=min(evaluation_batch_size(spec), len(splits.valid.x)),
        ema_decay=config.ema_decay,
        clip_norm=config.clip_norm,
        skip_norm=config.skip_norm,
        patience=config.patience,
    )


def training_record(result: FitResult, layout: str) -> dict[str, Any]:
    """Return what `summary.json` says of how a training went."""
    return {
        "steps": int(result.state.step),
        "best_step": result.loop.best_step,
        "seconds": round(result.loop.seconds, 2),
        "compile_seconds": round(result.compile_seconds, 2),
        "images_per_second": round(result.images_per_second, 1),
        "skipped_steps": result.loop.skipped,
        "layout": layout,
        **({"failure": result.failure} if result.failure else {}),
    }


def refuse_layouts(options: Options) -> None:
    """Raise a `UserError` for layouts that do not divide the members of a sweep among the devices."""
    if options.layout not in (None, "scan", "sharded") or options.shard_params:
        flag = "--shard-params" if options.shard_params else f"--layout {options.layout}"
        raise UserError(f"{flag} is not for a sweep, whose members are divided among the devices: leave it out.")


# ---------- private


class _Run(NamedTuple):
    config: Any
    system: System
    folder: Path
    build: Build
    rows: np.ndarray | None = None  # of the training images that it learns from, all if None
    valid_rows: np.ndarray | None = None  # of the validation images that it is evaluated on, all if None
    stage: Mapping[str, Any] | None = None  # the record of the stage before


def _train(runs: Sequence[_Run], splits: Splits, spec: DataSpec, options: Options, *, together: bool) -> list[Trained]:
    first = runs[0]
    start = load_start(options.init_from, first.system) if options.init_from else None
    # What does not fit the images, or has too few of them, fails before a folder is made.
    num = min(INIT_EXAMPLES, len(jax.tree.leaves(splits.train.x)[0]) if first.rows is None else len(first.rows))
    abstract_state(first.system, abstract_batch(jax.tree.map(np.asarray, splits.train), num))
    layout = None if together else _layout(first, splits, options)
    if together:
        refuse_layouts(options)
        sweep_layout(len(runs), options.devices)
    with contextlib.ExitStack() as stack:
        records = [_record(run, splits, options) for run in runs]
        places = [
            stack.enter_context(_opened(run, record, options, together=together))
            for run, record in zip(runs, records, strict=True)
        ]
        done = (common_step(places) if options.resume else None) or 0
        reports = [
            stack.enter_context(Recorder(run.folder, done, run.config.steps, bar=run is first))
            if distributed.is_primary()
            else None
            for run in runs
        ]
        settings = settings_of(first.config, splits, spec, options.save_every)
        asked = stack.enter_context(told_to_end())
        common: dict[str, Any] = {"resume": options.resume, "start": start, "stop": asked}
        if together:
            members = [
                Member(
                    seed=run.config.seed,
                    hparams={**run.system.trainable.hparams, **rate},
                    rows=run.rows,
                    valid_rows=run.valid_rows,
                    checkpoints=place,
                    report=report,
                )
                for run, rate, place, report in zip(runs, learning_rates(runs), places, reports, strict=True)
            ]
            results = fit_sweep(first.system, splits, members, settings, num_devices=options.devices, **common)
            kind = "sweep"
        else:
            alone: dict[str, Any] = {
                "seed": first.config.seed,
                "checkpoints": places[0],
                "report": reports[0],
                "layout": layout,
            }
            results = [fit(first.system, splits, settings, **alone, **common)]
            kind = layout.kind if layout else ""
    if distributed.any_process(asked()):  # of one alone, all have stopped
        if distributed.is_primary():
            parent = first.folder.parent  # a study's or a comparison's, whose parts are resumed together
            where = parent if (parent / "config.json").exists() else first.folder
            print(f"{where}: ended by a signal, all is saved; continue with --resume --name {where.name}.")
        sys.exit(0)
    each = zip(runs, records, results, strict=True)
    return [_trained(run, first.system, record, result, kind) for run, record, result in each]


def _record(run: _Run, splits: Splits, options: Options) -> dict[str, Any]:
    size = len(jax.tree.leaves(splits.train.x)[0]) if run.rows is None else len(run.rows)
    record = run_record(run.system, run.config, size, build=run.build, init_from=options.init_from, stage=run.stage)
    distributed.require_equal(
        {**record["config"], **record["spec"], "num_train": size, "experiment": record["experiment"]}
    )
    return record


def _opened(run: _Run, record: dict[str, Any], options: Options, *, together: bool) -> Checkpoints:
    """Make or check a run's folder, write its `config.json`, and return its checkpoints."""
    resume = (of_part(run.folder, options) if together else options).resume
    on_primary(lambda: open_folder(run.folder, record, resume))
    checkpoints = Checkpoints(run.folder / "checkpoints", keep=options.keep)
    done = checkpoints.latest_step() or 0
    if done > run.config.steps:
        checkpoints.close()
        raise UserError(f"The run {run.folder} has done {done} steps already: resume it with --steps {done} or more.")
    on_primary(lambda: write_json(run.folder / "config.json", record))
    return checkpoints


def _trained(run: _Run, first: System, record: dict[str, Any], result: FitResult, layout: str) -> Trained:
    done = int(result.state.step)
    if result.failure:
        print(f"warning: {run.folder.name}: {result.failure}")
    elif done < run.config.steps:
        print(f"Stopped early after {done} steps: the best was {result.loop.best_step}.")
    # Members share the functions of the first, as they did in training: what evaluates one is compiled for all.
    system = first._replace(trainable=first.trainable._replace(hparams=run.system.trainable.hparams))
    best = result.best
    return Trained(system, best.params, best.model_state, record, run.folder, training_record(result, layout))


def _layout(run: _Run, splits: Splits, options: Options) -> Layout:
    sizes = run.config.batch_size, options.layout, options.devices
    return choose_layout(run.system, splits.train, *sizes, shard_params=options.shard_params)


def learning_rates(runs: Sequence[_Run]) -> list[dict[str, float]]:
    """The learning rate that each member's own optimizer was built with, {} for all where they do not differ."""
    if len({run.config.learning_rate for run in runs}) == 1:
        return [{} for _ in runs]
    found = [[injected_learning_rate(player.optimizer) for player in run.system.trainable.players] for run in runs]
    if any(len(rates) != 1 or None in rates for rates in found):
        raise UserError(
            f"The learning rate of {runs[0].system.name} cannot be swept: expected one player, whose optimizer has it "
            "by optax.inject_hyperparams, as jaxvae.training.cosine_adam does."
        )
    return [{"learning_rate": rate} for (rate,) in found if rate is not None]
