"""Train the models of an experiment in their runs' folders, one or several together."""

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvae.data.batches import num_examples
from jaxvae.data.digest import splits_digest
from jaxvae.errors import Diverged, UserError
from jaxvae.runs.begun import Begun, absent, keep
from jaxvae.runs.folder import FREE_FIELDS, claim, on_primary
from jaxvae.runs.load import load_start
from jaxvae.runs.options import Options
from jaxvae.runs.records import run_record
from jaxvae.runs.resumption import resumable_together, saved_steps
from jaxvae.runs.trained import Trained
from jaxvae.runs.training import How, Run, train_runs
from jaxvae.systems.augmentation import with_default_shift
from jaxvae.systems.following import followed
from jaxvae.training import Settings, choose_layout, distributed, evaluation_batch_size
from jaxvae.training.optimizers import injected_learning_rate
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
      The best state on the validation set.

    Raises:
      UserError: for an existing folder, a configuration that does not fit it, or a training that diverged.
      SystemExit: with status 0, if the process was told to end: everything is saved.
    """
    system = with_default_shift(build(config, spec), num_examples(splits.train))
    run = _Asked(config, system, folder, build, stage=stage)
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
    built = lambda config: with_default_shift(build(config, spec), num_examples(splits.train))  # noqa: E731 - one for all
    runs = [_Asked(config, built(config), folder, build, mine, valid, stage) for config, folder, mine, valid in each]
    steps = {i: saved_steps(folder) if options.resume else frozenset() for i, folder in enumerate(folders)}
    trained: dict[int, Trained] = {}
    for group in resumable_together(steps):
        part = _train([runs[i] for i in group], splits, spec, options, together=True)
        trained.update(zip(group, part, strict=True))
    if not any(one.training["best_step"] for one in trained.values()):
        raise Diverged(f"All {len(runs)} trainings of the sweep diverged, the first: {trained[0].training['failure']}")
    return [trained[i] for i in range(len(runs))]


def begin(folder: Path, record: Mapping[str, Any], resume: bool, free: frozenset[str] = FREE_FIELDS) -> None:
    """Make the folder of a run of several trainings, or check that a resumed one is the same; write `config.json`.

    What is written there already and `record` does not have, which a last stage adds, stays. The folder is locked until
    the process ends, or until `jaxvae.runs.begun.end`, which takes it away of what is refused then.
    """

    def claimed() -> None:
        made = absent(folder)
        keep(Begun(folder, made, claim(folder, record, resume, free), resumed=resume))

    on_primary(claimed)


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
        eval_batch_size=min(evaluation_batch_size(spec), num_examples(splits.valid)),
        ema_decay=config.ema_decay,
        clip_norm=config.clip_norm,
        skip_norm=config.skip_norm,
        patience=config.patience,
    )


def refuse_layouts(options: Options) -> None:
    """Raise a `UserError` for layouts that do not divide the members of a sweep among the devices."""
    if options.layout not in (None, "scan", "sharded") or options.shard_params:
        flag = "--shard-params" if options.shard_params else f"--layout {options.layout}"
        raise UserError(f"{flag} is not for a sweep, whose members are divided among the devices: leave it out.")


# ---------- private


class _Asked(NamedTuple):
    """One training that an experiment asks for."""

    config: Any
    system: System
    folder: Path
    build: Build
    rows: np.ndarray | None = None  # of the training images that it learns from, all if None
    valid_rows: np.ndarray | None = None  # of the validation images that it is evaluated on, all if None
    stage: Mapping[str, Any] | None = None  # the record of the stage before


def _train(
    asked: Sequence[_Asked], splits: Splits, spec: DataSpec, options: Options, *, together: bool
) -> list[Trained]:
    first = asked[0]
    layout = None
    if together:
        refuse_layouts(options)
    else:
        sizes = first.config.batch_size, options.layout, options.devices
        layout = choose_layout(first.system, splits.train, *sizes, shard_params=options.shard_params)
    how = How(
        settings=settings_of(first.config, splits, spec, options.save_every),
        layout=layout,
        together=together,
        devices=options.devices,
        start=load_start(options.init_from, first.system) if options.init_from else None,
        keep=options.keep,
        free=FREE_FIELDS | followed(first.system),
    )
    digest = functools.cache(lambda i: splits_digest(splits, asked[i].rows, asked[i].valid_rows))
    of_all = [i for i, one in enumerate(asked) if one.rows is None and one.valid_rows is None]
    runs = []
    for i, (one, rate) in enumerate(zip(asked, learning_rates(asked), strict=True)):
        num = num_examples(splits.train) if one.rows is None else len(one.rows)
        data = digest(of_all[0] if i in of_all else i)
        record = run_record(
            one.system, one.config, num, build=one.build, init_from=options.init_from, data=data, stage=one.stage
        )
        resume = (of_part(one.folder, options) if together else options).resume
        runs.append(Run(one.system, record, one.config.seed, one.folder, resume, one.rows, one.valid_rows, rate))
    trained, by = train_runs(runs, splits, how)
    if by is not None:
        _say_where(first.folder)
        sys.exit(0)
    return trained


def _say_where(folder: Path) -> None:
    """Say how a run goes on that was ended: parts of a study, or stages, are resumed together."""
    while (folder.parent / "config.json").exists():
        folder = folder.parent
    if distributed.is_primary():
        print(f"{folder}: ended by a signal, all is saved; continue with --resume --name {folder.name}.")


def learning_rates(runs: Sequence[_Asked]) -> list[dict[str, float]]:
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
