"""A training and what changes on its way: one, or the many members of a sweep in the same program."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.data import batch_indices, padded_batches
from jaxvae.errors import Diverged
from jaxvae.training.checkpoint import Best, Checkpoints, Saved
from jaxvae.training.divergence import divergence, means_of_taken, skipped_in_row
from jaxvae.training.evaluate import make_evaluator
from jaxvae.training.memory import check_state_fits
from jaxvae.training.parallel import Layout, create, on_one_device, shardings
from jaxvae.training.program import Program
from jaxvae.training.state import create_train_state
from jaxvae.training.step import TrainStep, make_train_step
from jaxvae.types import Batch, Dataset, LoopState, Splits, System, TrainState

Report = Callable[[int, str, dict[str, float]], None]  # (steps done, "train" or "valid", means)

INIT_EXAMPLES = 1000  # enough for pixel means
MOST_SKIPPED = 100  # steps in a row, after which nothing will come of a training


class Member(NamedTuple):
    """One training of a sweep, beside others in the same program."""

    seed: int  # of parameters, batches and noise
    hparams: Mapping[str, float] = {}  # what differs from the system's own, or from its optimizers'
    rows: np.ndarray | None = None  # of the training examples that it learns from; None takes all
    valid_rows: np.ndarray | None = None  # of the validation examples that it is evaluated on; None takes all
    checkpoints: Checkpoints | None = None  # where to save; None saves nothing
    report: Report | None = None  # called with means of the steps since the last report, and after evaluations


class Settings(NamedTuple):
    """How long and how to train; the same for all members of a sweep."""

    steps: int  # of the whole training, those of earlier parts included
    batch_size: int  # examples a step, of all devices together
    eval_every: int  # steps between evaluations on the validation set; there is one after the last step too
    log_every: int = 100  # steps between reports, and most steps in one program
    save_every: int = 0  # steps between checkpoints; 0 saves after every evaluation. The last step is always saved
    eval_batch_size: int = 500  # examples evaluated at a time
    ema_decay: float = 0.0  # of a moving average of the parameters, which is what is evaluated; 0 keeps none
    clip_norm: float | None = None  # larger gradients are scaled down to this global norm
    skip_norm: float | None = None  # steps with larger or non-finite gradients are skipped
    patience: int = 0  # evaluations without improvement after which training stops; 0 never stops early


class FitResult(NamedTuple):
    """What a training leaves."""

    state: TrainState  # after the last step
    loop: LoopState
    best: Best  # of the best evaluation, on one device
    failure: str | None  # what made it diverge; None of a sound training
    compile_seconds: float  # of the training steps, in this process; `loop.seconds` is without them
    images_per_second: float  # of the whole training, neither compilation nor evaluation counted


class Training:
    """What changes while members are trained; every array of theirs has a leading axis [M] if they are `together`."""

    def __init__(
        self,
        system: System,
        splits: Splits,
        members: Sequence[Member],
        settings: Settings,
        layout: Layout,
        start: Best | None = None,
        *,
        together: bool = False,
    ) -> None:
        self.members, self.settings, self.layout, self.together = members, settings, layout, together
        self._splits = splits
        everything = np.arange(len(jax.tree.leaves(splits.train.x)[0]), dtype=np.int32)
        self._rows = [everything if member.rows is None else member.rows.astype(np.int32) for member in members]
        self._state = self._initial_state(system, start)
        self._best = self._copy_of_evaluated()
        self._loops = [LoopState(best=float("inf"), best_step=0, patience=0, seconds=0.0, skipped=0) for _ in members]
        self.done = 0

        def make_step(axis_name: str | None) -> TrainStep:
            return make_train_step(
                system.trainable.players,
                alternating=system.trainable.alternating,
                ema_decay=settings.ema_decay,
                clip_norm=settings.clip_norm,
                skip_norm=settings.skip_norm,
                axis_name=axis_name,
            )

        divided = len(members) if together else settings.batch_size
        self._program = Program(layout, make_step, splits.train, divided, members=together)
        self._evaluator = make_evaluator(system, settings.eval_batch_size, layout, members=together)
        self._next: tuple[int, Any] | None = None  # made ready while the devices are busy

    def goes_on(self) -> bool:
        """Whether any member still learns: neither diverged nor without improvement for too long."""
        return not all(map(self._is_over, range(len(self.members))))

    def run(self) -> None:
        """Train up to the next step at which something is due."""
        until, chunk = self._next or self._fed(self.done)
        compiling, began, cpu_began = self._program.compile_seconds, time.perf_counter(), time.process_time()
        self._state, metrics = self._program(self._state, chunk)
        self._next = self._fed(until) if until < self.settings.steps else None
        all_values = self._by_member({name: np.moveaxis(v, 0, -1) for name, v in jax.device_get(metrics).items()})
        seconds = time.perf_counter() - began - (self._program.compile_seconds - compiling)
        cpu_seconds = time.process_time() - cpu_began  # which other programs do not lengthen
        rate = (until - self.done) * self.settings.batch_size * len(self.members) / seconds
        for i, (member, values) in enumerate(zip(self.members, all_values, strict=True)):
            loop, skipped = self._loops[i], int(values["skipped"].sum())
            in_row = skipped_in_row(values["skipped"], loop.skipped_in_row)
            self._loops[i] = loop._replace(
                seconds=loop.seconds + seconds,
                cpu_seconds=loop.cpu_seconds + cpu_seconds,
                skipped=loop.skipped + skipped,
                skipped_in_row=int(in_row[-1]),
            )
            self._check(i, divergence(values, in_row, self.done, min(MOST_SKIPPED, self.settings.steps)))
            if member.report and not self._loops[i].failure:
                means = means_of_taken(values)
                member.report(until, "train", {**means, "skipped": skipped, "images_per_second": rate})
        self.done = until

    def evaluate(self) -> None:
        """Score all members on the validation set and remember the best parameters of each."""
        improved = np.zeros(len(self.members), bool)
        current = evaluated_params(self._state)
        scores = self._by_member(self._evaluator(*current, self._splits.valid, self._state.hparams))
        for i, (member, values) in enumerate(zip(self.members, scores, strict=True)):
            if self._is_over(i):
                continue
            chosen = slice(None) if member.valid_rows is None else member.valid_rows
            means = {name: float(np.mean(value[chosen])) for name, value in values.items() if value.ndim == 1}
            if not np.isfinite(means["loss"]):
                found = f"the validation loss is {means['loss']}, expected a finite number; lower the learning rate."
                self._check(i, f"Training stopped at step {self.done}: {found}")
                continue
            if member.report:
                member.report(self.done, "valid", means)
            loop = self._loops[i]
            improved[i] = means["loss"] < loop.best
            self._loops[i] = (
                loop._replace(best=means["loss"], best_step=self.done, patience=0)
                if improved[i]
                else loop._replace(patience=loop.patience + 1)
            )
        if improved.all():
            self._best = self._copy_of_evaluated()
        elif improved.any():
            self._best = _choose(improved, current, self._best)

    def save(self) -> None:
        """Save all members under the same step, so that they can go on together."""
        for i, member in enumerate(self.members):
            if member.checkpoints:
                state, best = self._member((self._state, self._best), i)
                member.checkpoints.save(self.done, Saved(state, best, self._loops[i]))

    def restore(self) -> None:
        """Go on from the newest step that all members have saved, if there is one."""
        folders = [member.checkpoints for member in self.members if member.checkpoints]
        step = common_step(folders) if len(folders) == len(self.members) else None
        if step is None:
            return
        self.done, parts, hparams = step, [], self._state.hparams
        for i, folder in enumerate(folders):
            parts.append(folder.restore(step, Saved(*self._member((self._state, self._best), i), self._loops[i])))
            folder.discard_after(step)  # those that not all members have: from here on they may come out otherwise
        self._loops = [part.loop for part in parts]
        trees = [(part.state, part.best) for part in parts]
        state, self._best = _stack(self.layout, trees) if self.together else trees[0]
        self._state = state._replace(hparams=hparams)  # a warm-up may follow the steps of a training that is now longer

    def results(self) -> list[FitResult]:
        """Wait for the checkpoints and return what is left of every member."""
        for member in self.members:
            if member.checkpoints:
                member.checkpoints.wait()
        images = self.done * self.settings.batch_size * len(self.members)
        results = []
        for i, loop in enumerate(self._loops):
            state, best = self._member((self._state, self._best), i)
            results.append(
                FitResult(
                    state=state,
                    loop=loop,
                    best=on_one_device(self.layout, best),
                    failure=loop.failure,
                    compile_seconds=self._program.compile_seconds,
                    images_per_second=images / max(loop.seconds, 1e-9),
                )
            )
        return results

    def _initial_state(self, system: System, start: Best | None) -> TrainState:
        def one(key: jax.Array, hparams: Mapping[str, jax.Array], batch: Batch, given: Best | None) -> TrainState:
            keep_ema = self.settings.ema_decay > 0
            return create_train_state(system, key, batch, keep_ema=keep_ema, start=given, hparams=hparams)

        size = min(INIT_EXAMPLES, max(map(len, self._rows)))
        each = [
            (
                jax.random.key(member.seed),
                {name: jnp.float32(value) for name, value in member.hparams.items()},
                first_batch(self._splits.train, rows, size),
            )
            for member, rows in zip(self.members, self._rows, strict=True)
        ]
        function, arguments = one, each[0]
        if self.together:
            function = jax.vmap(one, in_axes=(0, 0, 0, None))
            arguments = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
        check_state_fits(jax.eval_shape(function, *arguments, start), self.layout, len(self.members))
        return create(self.layout, function, *arguments, start)

    def _fed(self, start: int) -> tuple[int, Any]:
        """The end of the program that starts at a step, and what the devices need for it."""
        settings = self.settings
        everies = [every for every in (settings.log_every, settings.eval_every, settings.save_every) if every]
        until = min(*((start // every + 1) * every for every in everies), settings.steps)
        tables = [
            rows[batch_indices(member.seed, len(rows), settings.batch_size, start, until - start)]
            for member, rows in zip(self.members, self._rows, strict=True)
        ]
        return until, self._program.feed(np.stack(tables, axis=1) if self.together else tables[0])

    def _check(self, i: int, failure: str | None) -> None:
        """Remember what made a member diverge; alone, that is the end."""
        if failure and not self.together:
            raise Diverged(f"{failure} Checkpoints saved before stay as they are.")
        self._loops[i] = self._loops[i]._replace(failure=self._loops[i].failure or failure)

    def _is_over(self, i: int) -> bool:
        patience = self.settings.patience
        return bool(self._loops[i].failure) or (patience > 0 and self._loops[i].patience >= patience)

    def _copy_of_evaluated(self) -> Best:
        return jax.tree.map(jnp.copy, evaluated_params(self._state))  # the state itself will be donated

    def _by_member(self, values: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        if not self.together:
            return [dict(values)]
        return [{name: value[i] for name, value in values.items()} for i in range(len(self.members))]

    def _member(self, tree: Any, i: int) -> Any:
        return _pick(tree, i) if self.together else tree


def common_step(folders: Sequence[Checkpoints]) -> int | None:
    """Return the newest step that all folders have a checkpoint of, None where there is none."""
    return max(set.intersection(*(set(folder.all_steps()) for folder in folders)), default=None)


def evaluated_params(state: TrainState) -> Best:
    """Return the parameters that evaluation and sampling use, moving averages where there are any, and model state."""
    return Best(state.params if state.ema_params is None else state.ema_params, state.model_state)


def first_batch(dataset: Dataset, rows: np.ndarray, size: int) -> Batch:
    """Return the real batch that `Trainable.init` asks for: random examples, as sources can be sorted by class.

    Args:
      dataset: the training set.
      rows: those to draw from.
      size: of the batch; it is padded where there are fewer rows.
    """
    chosen = np.random.default_rng(0).permutation(len(rows))[:size]
    part = jax.tree.map(lambda leaf: np.asarray(leaf)[rows[chosen]], dataset)
    return next(padded_batches(part, size))[1]


# ---------- private


@jax.jit
def _pick(tree: Any, i: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[i], tree)


@jax.jit
def _choose(condition: jax.Array, new: Any, old: Any) -> Any:
    """new[i] where condition[i], else old[i], for every leaf [M, ...]."""
    chosen = lambda n, o: jnp.where(condition.reshape(-1, *[1] * (n.ndim - 1)), n, o)  # noqa: E731
    return jax.tree.map(chosen, new, old)


def _stack(layout: Layout, trees: list[Any]) -> Any:
    def stacked(trees: list[Any]) -> Any:
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)

    return jax.jit(stacked, out_shardings=shardings(layout, jax.eval_shape(stacked, trees)))(trees)
