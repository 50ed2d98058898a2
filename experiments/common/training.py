"""Training into a run's folder, alone or many together."""

import contextlib
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from experiments.common.folder import FREE_FIELDS, Recorder, open_folder, read_json, run_record, write_json
from experiments.common.loading import Build, Finished, abstract_state, load_start
from jaxvae.errors import UserError
from jaxvae.training import (
    Checkpoints,
    FitResult,
    Layout,
    Member,
    Settings,
    distributed,
    fit,
    fit_sweep,
    make_layout,
    shard_large,
)
from jaxvae.training.trainer import INIT_EXAMPLES, common_step
from jaxvae.training.parallel import contains_convolutions
from jaxvae.training.step import step_keys
from jaxvae.types import Batch, DataSpec, Experiment, Splits, StepInput, TrainState

if TYPE_CHECKING:
    from experiments.run import Options


def train(
    config: Any,
    build: Build,
    splits: Splits,
    spec: DataSpec,
    folder: Path,
    options: "Options",
    codec: dict[str, Any] | None = None,
) -> Finished:
    """Train one experiment in its folder.

    Args:
      config: of the experiment; written to the folder.
      build: (config, spec) -> Experiment.
      splits: the data.
      spec: of the data.
      folder: made here.
      options: how to run.
      codec: the record of the first stage, on whose codes this one is built; it becomes part of the run's.

    Returns:
      The best state on the validation part.

    Raises:
      UserError: for an existing folder, a configuration that does not fit it, or a training that diverged.
      SystemExit: with status 0, if the process was told to end: everything is saved.
    """
    run = _Run(config, build(config, spec), folder, codec=codec)
    return _train([run], splits, spec, options, together=False)[0]


def train_sweep(
    configs: Sequence[Any],
    build: Build,
    splits: Splits,
    spec: DataSpec,
    folders: Sequence[Path],
    options: "Options",
    rows: Sequence[np.ndarray | None] | None = None,
    valid_rows: Sequence[np.ndarray | None] | None = None,
    codec: dict[str, Any] | None = None,
) -> list[Finished]:
    """Train experiments that differ in their seeds, hyper-parameters and rows alone, as one program.

    Each has a folder of its own, like any other run's. Folders that have checkpoints are resumed where
    `options.resume` says so, together where they have a step in common.

    Args:
      configs: one for each member.
      build: (config, spec) -> Experiment; its hparams, and the learning rate and the seed of the config, may differ.
      splits: the data.
      spec: of the data.
      folders: one for each member.
      options: how to run.
      rows: of the training images that each member learns from; None takes all.
      valid_rows: of the validation images that judge each member; None takes all.
      codec: as of `train`.

    Returns:
      One for each member, in their order; `training["failure"]` says why one diverged, and its `best_step` is 0 if
      that was before the first evaluation.

    Raises:
      UserError: as `train`; and if all members diverged before their first evaluation.
    """
    experiments = [build(config, spec) for config in configs]
    everything = [None] * len(configs)
    each = zip(configs, experiments, folders, rows or everything, valid_rows or everything, strict=True)
    runs = [_Run(*run, codec) for run in each]
    steps = {i: _saved_steps(folder) if options.resume else frozenset() for i, folder in enumerate(folders)}
    finished: dict[int, Finished] = {}
    for group in _groups(steps):
        part = _train([runs[i] for i in group], splits, spec, options, together=True)
        finished.update(zip(group, part, strict=True))
    if not any(one.training["best_step"] for one in finished.values()):
        raise UserError(
            f"All {len(runs)} trainings of the sweep diverged, the first: {finished[0].training['failure']}"
        )
    return [finished[i] for i in range(len(runs))]


def begin(folder: Path, record: dict[str, Any], resume: bool, free: frozenset[str] = FREE_FIELDS) -> None:
    """Make the folder of a run of several trainings, or check that a resumed one is the same; write `config.json`.

    What is written there already and `record` does not have, which a last stage adds, stays.
    """

    def write() -> None:
        path = folder / "config.json"
        write_json(path, {**(read_json(path) if path.exists() else {}), **record})

    on_primary(lambda: open_folder(folder, record, resume, free))
    on_primary(write)


def of_part(folder: Path, options: "Options") -> "Options":
    """Return the options of one training of several in a run: `--resume` continues those that were begun."""
    return replace(options, resume=options.resume and (folder / "config.json").exists())


def evaluation_batch(spec: DataSpec) -> int:
    """Return how many images to evaluate at a time: results do not depend on it, memory does.

    500 of MNIST's size; and as many grids of 7x7 codes of 512, each of which needs as many logits.
    """
    per_number = 1 if len(spec.shape) == 3 else max(1, spec.num_values // 32)
    return max(1, 392_000 // (math.prod(spec.shape) * per_number))


def on_primary(action: Callable[[], None]) -> None:
    """Do something in process 0 alone; its error is the error of all."""
    message = ""
    if distributed.is_primary():
        try:
            action()
        except UserError as error:
            message = str(error)
    if message := distributed.text_of_primary(message):
        raise UserError(message)


# ---------- private


class _Run(NamedTuple):
    config: Any
    experiment: Experiment
    folder: Path
    rows: np.ndarray | None = None  # of the training images that it learns from, all if None
    valid_rows: np.ndarray | None = None  # of the validation images that judge it, all if None
    codec: dict[str, Any] | None = None  # the record of the stage before


def _train(
    runs: Sequence[_Run], splits: Splits, spec: DataSpec, options: "Options", *, together: bool
) -> list[Finished]:
    first = runs[0]
    start = load_start(options.init_from, first.experiment, spec) if options.init_from else None
    # What does not fit the images, or has too few of them, fails before a folder is made.
    num = min(INIT_EXAMPLES, len(splits.train.x) if first.rows is None else len(first.rows))
    state = abstract_state(first.experiment, num)
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(_opened(run, splits, spec, options, together=together)) for run in runs]
        done = (common_step(places) if options.resume else None) or 0
        members = [
            Member(
                seed=run.config.seed,
                hparams={**run.experiment.hparams, "learning_rate": run.config.learning_rate} if together else {},
                rows=run.rows,
                valid_rows=run.valid_rows,
                checkpoints=place,
                report=stack.enter_context(Recorder(run.folder, done, run.config.steps, bar=run is first))
                if distributed.is_primary()
                else None,
            )
            for run, place in zip(runs, places, strict=True)
        ]
        settings = Settings(
            steps=first.config.steps,
            batch_size=first.config.batch_size,
            eval_every=first.config.eval_every,
            log_every=first.config.log_every,
            save_every=options.save_every,
            eval_batch_size=min(evaluation_batch(spec), len(splits.valid.x)),
            ema_decay=first.config.ema_decay,
            clip_norm=first.config.clip_norm,
            skip_norm=first.config.skip_norm,
            patience=first.config.patience,
        )
        told_to_end = stack.enter_context(_signals())
        common = {"resume": options.resume, "start": start, "stop": told_to_end}
        if together:
            _refuse_for_sweeps(options)
            results = fit_sweep(first.experiment, splits, members, settings, num_devices=options.devices, **common)
            layout = "sweep"
        else:
            chosen = _layout(options, first.experiment, state, first.config.batch_size)
            results = [fit(first.experiment, splits, members[0], settings, layout=chosen, **common)]
            layout = chosen.kind
    if distributed.any_process(told_to_end()):  # of one alone, all have stopped
        if distributed.is_primary():
            where = first.folder.parent if together else first.folder
            print(f"{where}: ended by a signal, all is saved; continue with --resume --name {where.name}.")
        sys.exit(0)
    # Members share the functions of the first, as they did in training: what evaluates one is compiled for all.
    runs = [run._replace(experiment=first.experiment._replace(hparams=run.experiment.hparams)) for run in runs]
    return [_finished(run, result, layout) for run, result in zip(runs, results, strict=True)]


def _opened(run: _Run, splits: Splits, spec: DataSpec, options: "Options", *, together: bool) -> Checkpoints:
    """Make or check a run's folder, write its `config.json`, and return its checkpoints."""
    size = len(splits.train.x) if run.rows is None else len(run.rows)
    record = run_record(run.experiment.name, run.config, spec, size, options.init_from)
    if run.codec is not None:
        record["codec"] = run.codec
    distributed.require_equal(
        {**record["config"], **record["spec"], "num_train": size, "experiment": run.experiment.name}
    )
    resume = (of_part(run.folder, options) if together else options).resume
    on_primary(lambda: open_folder(run.folder, record, resume))
    checkpoints = Checkpoints(run.folder / "checkpoints", keep=options.keep)
    done = checkpoints.latest_step() or 0
    if done > run.config.steps:
        checkpoints.close()
        raise UserError(f"The run {run.folder} has done {done} steps already: resume it with --steps {done} or more.")
    on_primary(lambda: write_json(run.folder / "config.json", record))
    return checkpoints


def _finished(run: _Run, result: FitResult, layout: str) -> Finished:
    done = int(result.state.step)
    if result.failure:
        print(f"warning: {run.folder.name}: {result.failure}")
    elif done < run.config.steps:
        print(f"Stopped early after {done} steps: the best was {result.loop.best_step}.")
    training = {
        "steps": done,
        "best_step": result.loop.best_step,
        "seconds": round(result.loop.seconds, 2),
        "compile_seconds": round(result.compile_seconds, 2),
        "images_per_second": round(result.images_per_second, 1),
        "skipped_steps": result.loop.skipped,
        "layout": layout,
        **({"failure": result.failure} if result.failure else {}),
    }
    return Finished(run.experiment, run.config, result.best.params, result.best.model_state, run.folder, training)


def _layout(options: "Options", experiment: Experiment, state: TrainState, batch_size: int) -> Layout:
    if options.shard_params:
        size = make_layout(options.layout or "sharded", options.devices).mesh.size
        return make_layout(options.layout or "sharded", size, shard_large(size))
    x = jax.ShapeDtypeStruct((batch_size, *experiment.spec.shape), "uint8")
    batch = Batch(x, None, jax.ShapeDtypeStruct((batch_size,), "float32"))
    keys = jax.eval_shape(lambda state: step_keys(state, batch_size), state)
    inputs = StepInput(batch, keys, state.step, state.hparams)
    convolves = jax.default_backend() == "cpu" and contains_convolutions(experiment.loss, state, inputs)
    return make_layout(options.layout, options.devices, uses_convolutions=convolves)


def _refuse_for_sweeps(options: "Options") -> None:
    if options.layout not in (None, "scan", "sharded") or options.shard_params:
        flag = "--shard-params" if options.shard_params else f"--layout {options.layout}"
        raise UserError(f"{flag} is not for a sweep, whose members are divided among the devices: leave it out.")


def _saved_steps(folder: Path) -> frozenset[int]:
    if not (folder / "checkpoints").is_dir():
        return frozenset()
    with Checkpoints(folder / "checkpoints", read_only=True) as checkpoints:
        return frozenset(checkpoints.all_steps())


def _groups(steps: dict[int, frozenset[int]]) -> list[list[int]]:
    """Members that can go on together: those without checkpoints, and those that share one."""
    new = [i for i, saved in steps.items() if not saved]
    old = [i for i, saved in steps.items() if saved]
    if old and frozenset.intersection(*(steps[i] for i in old)):
        return [group for group in (new, old) if group]
    by_newest: dict[int, list[int]] = {}
    for i in old:
        by_newest.setdefault(max(steps[i]), []).append(i)
    return [group for group in (new, *by_newest.values()) if group]


@contextlib.contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM or Ctrl-C has come; a second one ends the process at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set  # only the main thread hears signals
        return

    def handle(number: int, frame: Any) -> None:
        asked.set()
        for other, action in before.items():
            signal.signal(other, action)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked.is_set
    finally:
        for number, action in before.items():
            signal.signal(number, action)
