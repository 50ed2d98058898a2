"""Trainings in their folders, one alone or several together: what `jaxvae.train` and experiments share."""

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from filelock import FileLock

from jaxvae.applications.latents import latent_statistics
from jaxvae.capabilities import Encodes, find
from jaxvae.data.batches import num_examples
from jaxvae.errors import Diverged, UserError
from jaxvae.runs.begun import absent, discard_unused
from jaxvae.runs.finished import finish
from jaxvae.runs.folder import FREE_FIELDS, claim, on_primary, open_folder, read_json, write_json
from jaxvae.runs.latents import latents_record
from jaxvae.runs.recorder import Recorder
from jaxvae.runs.resumption import saved_steps
from jaxvae.runs.signals import told_to_end
from jaxvae.runs.trained import Trained
from jaxvae.training import Best, Checkpoints, FitResult, Layout, Member, Settings, distributed, fit, fit_sweep
from jaxvae.training.memory import check_state_fits
from jaxvae.training.parallel import sweep_layout
from jaxvae.training.state import abstract_batch, abstract_state
from jaxvae.training.trainer import INIT_EXAMPLES, common_step
from jaxvae.types import Dataset, Splits, System


class Run(NamedTuple):
    """One training, and where it is written."""

    system: System
    record: Mapping[str, Any]  # its `config.json`
    seed: int
    folder: Path | None = None  # None writes nothing
    resume: bool = False
    rows: np.ndarray | None = None  # of the training examples that it learns from, all if None
    valid_rows: np.ndarray | None = None  # of the validation examples that it is evaluated on, all if None
    rate: Mapping[str, float] = {}  # the learning rate, of one of several that differ in it


class How(NamedTuple):
    """How runs are trained."""

    settings: Settings
    layout: Layout | None = None  # of one alone
    together: bool = False  # as one program, in the layout of sweeps
    devices: int | None = None  # of several together
    start: Best | None = None  # parameters to start from
    keep: int = 2  # latest checkpoints
    bar: bool = True
    free: frozenset[str] = FREE_FIELDS  # fields of the configuration in which a resumed run may differ


class Outcome(NamedTuple):
    """What trainings leave."""

    trained: list[Trained]
    signal: int | None  # by which they were asked to end, if they were; all is saved


def train_runs(runs: Sequence[Run], splits: Splits, how: How) -> Outcome:
    """Train one run, or several of the same system as one program, each in its folder.

    Whatever can be refused is refused before a folder is made. A folder is locked until its training has ended, and
    process 0 alone writes, but for the checkpoints.

    Args:
      runs: of systems that differ in hyper-parameters and seeds alone.
      splits: the data.
      how: they are trained.

    Returns:
      The models with the best parameters on the validation set.

    Raises:
      UserError: for data that do not fit, a folder of another run, or one that another process trains; `Diverged`, if
        one alone diverges.
    """
    _check(runs, splits, how)
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(_opened(run, how)) for run in runs]
        saved = [place for place in places if place is not None]
        resume = any(run.resume for run in runs)
        done = (common_step(saved) if resume and saved else None) or 0
        reports = [_report(run, how, done, first=run is runs[0]) for run in runs]
        for report in reports:
            if report is not None:
                stack.enter_context(report)
        asked = stack.enter_context(told_to_end())
        common: dict[str, Any] = {"resume": resume, "start": how.start, "stop": asked}
        results = _fitted(runs, splits, how, places, reports, common)
    ended = distributed.any_process(asked())  # of one alone, all have stopped
    by = (asked.signal or signal.SIGTERM) if ended else None
    kind = "sweep" if how.together else how.layout.kind if how.layout else ""
    each = zip(runs, results, strict=True)
    trained = [_trained(run, runs[0].system, result, how, kind, quiet=ended) for run, result in each]
    if by is None:
        trained = [
            one if one.system.trainable.finish is None else finish(one, _splits_of(run, splits))
            for one, run in zip(trained, runs, strict=True)
        ]
    if by != signal.SIGTERM:  # after which a process has not long to live
        trained = [_with_latents(one, run, splits) for one, run in zip(trained, runs, strict=True)]
    return Outcome(trained, by)


def training_record(result: FitResult, layout: str) -> dict[str, Any]:
    """Return what `summary.json` says of how a training went."""
    return {
        "steps": int(result.state.step),
        "best_step": result.loop.best_step,
        "seconds": round(result.loop.seconds, 2),
        "cpu_seconds": round(result.loop.cpu_seconds, 2),
        "compile_seconds": round(result.compile_seconds, 2),
        "images_per_second": round(result.images_per_second, 1),
        "skipped_steps": result.loop.skipped,
        "layout": layout,
        **({"failure": result.failure} if result.failure else {}),
    }


# ---------- private


def _check(runs: Sequence[Run], splits: Splits, how: How) -> None:
    """Raise for what would be refused later: images that do not fit, processes that do not agree."""
    first = runs[0]
    num = min(INIT_EXAMPLES, num_examples(splits.train) if first.rows is None else len(first.rows))
    batch = abstract_batch(jax.tree.map(np.asarray, splits.train), num)
    state = abstract_state(first.system, batch, keep_ema=how.settings.ema_decay > 0)
    if how.together:
        of_all = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((len(runs), *leaf.shape), leaf.dtype), state)
        check_state_fits(of_all, sweep_layout(len(runs), how.devices), len(runs))
    elif how.layout is not None:
        check_state_fits(state, how.layout)
    for run in runs:
        flat = {**run.record["config"], **run.record["spec"]}
        distributed.require_equal({**flat, **{k: run.record.get(k) for k in ("num_train", "data", "experiment")}})


@contextlib.contextmanager
def _opened(run: Run, how: How) -> Iterator[Checkpoints | None]:
    """The checkpoints of a run in its folder, which is made or checked, and locked."""
    folder, taken = run.folder, list[FileLock]()
    if folder is None:
        yield None
        return
    made = absent(folder)

    def begin() -> None:
        open_folder(folder, run.record, run.resume, how.free)
        done = max(saved_steps(folder), default=0) if run.resume else 0
        if done > how.settings.steps:
            raise UserError(
                f"The run {folder} has done {done} steps already, asked for are {how.settings.steps}: resume it with "
                f"{done} steps or more."
            )
        taken.append(claim(folder, run.record, run.resume, how.free))

    on_primary(begin)
    try:
        with Checkpoints(folder / "checkpoints", keep=how.keep) as checkpoints:
            yield checkpoints
    except UserError as error:  # what a first trace says of a model
        if taken and not run.resume and not isinstance(error, Diverged):
            discard_unused(folder, made)
        raise
    finally:
        for one in taken:
            one.release()


def _report(run: Run, how: How, done: int, *, first: bool) -> Recorder | None:
    if not distributed.is_primary():
        return None
    name = run.folder.name if run.folder else run.system.name
    return Recorder(run.folder, done, how.settings.steps, bar=how.bar and first, name=name)


def _fitted(
    runs: Sequence[Run],
    splits: Splits,
    how: How,
    places: Sequence[Checkpoints | None],
    reports: Sequence[Callable[[int, str, dict[str, float]], None] | None],
    common: dict[str, Any],
) -> list[FitResult]:
    first = runs[0]
    if not how.together:
        alone: dict[str, Any] = {"seed": first.seed, "checkpoints": places[0], "report": reports[0]}
        return [fit(first.system, splits, how.settings, layout=how.layout, **alone, **common)]
    members = [
        Member(
            seed=run.seed,
            hparams={**run.system.trainable.hparams, **run.rate},
            rows=run.rows,
            valid_rows=run.valid_rows,
            checkpoints=place,
            report=report,
        )
        for run, place, report in zip(runs, places, reports, strict=True)
    ]
    return fit_sweep(first.system, splits, members, how.settings, num_devices=how.devices, **common)


def _trained(run: Run, first: System, result: FitResult, how: How, layout: str, *, quiet: bool) -> Trained:
    done = int(result.state.step)
    if result.failure:
        print(f"warning: {run.folder.name if run.folder else run.system.name}: {result.failure}")
    elif done < how.settings.steps and not quiet:
        print(f"Stopped early after {done} steps: the best was {result.loop.best_step}.")
    # Members share the functions of the first, as they did in training: what evaluates one is compiled for all.
    system = first._replace(trainable=first.trainable._replace(hparams=run.system.trainable.hparams))
    best = result.best
    return Trained(system, best.params, best.model_state, run.record, run.folder, training_record(result, layout))


def _splits_of(run: Run, splits: Splits) -> Splits:
    """The data that a run was trained on, those of a sweep's member maybe a part of all."""

    def some(part: Dataset, rows: Any) -> Dataset:
        return part if rows is None else jax.tree.map(lambda leaf: np.asarray(leaf)[rows], part)

    return splits._replace(train=some(splits.train, run.rows), valid=some(splits.valid, run.valid_rows))


def _with_latents(trained: Trained, run: Run, splits: Splits) -> Trained:
    """The model with the statistics of its codes in its record, and in `config.json` where there is a folder."""
    step = trained.training["best_step"]
    if find(trained.system, Encodes) is None or not step:
        return trained
    path = run.folder / "config.json" if run.folder is not None and distributed.is_primary() else None
    before = {} if path is None else read_json(path)
    found = before.get("latents")
    if not (run.resume and isinstance(found, dict) and found.get("step") == step):
        statistics = latent_statistics(
            trained.system, trained.params, trained.model_state, _splits_of(run, splits).train
        )
        if statistics is None:
            return trained
        found = latents_record(statistics, step)
        if path is not None:
            write_json(path, {**before, "latents": found})
    return replace(trained, record={**trained.record, "latents": found})
