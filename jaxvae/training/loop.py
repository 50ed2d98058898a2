"""`fit`: from an experiment and data to trained parameters."""

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.data import batch_indices, padded_batches, subset
from jaxvae.errors import UserError
from jaxvae.training.checkpoint import Checkpoints
from jaxvae.training.parallel import on_device, scan_steps
from jaxvae.training.state import create_train_state
from jaxvae.training.step import example_keys, make_train_step
from jaxvae.types import Batch, Dataset, Experiment, LoopState, ModelState, Params, PRNGKey, Splits, TrainState

Report = Callable[[int, str, dict[str, float]], None]  # (steps done, "train" or "valid", means)
Evaluator = Callable[[Params, ModelState, Dataset], dict[str, np.ndarray]]

EVALUATION = 0x6576616C  # folded into key 0: the same noise for every model and run, and none of a training's keys
INIT_EXAMPLES = 1000  # enough for pixel means


class FitResult(NamedTuple):
    """What a training leaves."""

    state: TrainState  # after the last step
    loop: LoopState
    params: Params  # of the best evaluation, moving averages where the state keeps them
    model_state: ModelState
    compile_seconds: float  # of the training steps, in this process; `loop.seconds` is without them
    images_per_second: float  # of the whole training, neither compilation nor evaluation counted


def fit(
    experiment: Experiment,
    splits: Splits,
    *,
    seed: int,
    steps: int,
    batch_size: int,
    eval_every: int,
    log_every: int = 100,
    eval_batch_size: int = 500,
    ema_decay: float = 0.0,
    patience: int = 0,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    init_params: Params = None,
    report: Report | None = None,
) -> FitResult:
    """Train an experiment on one device, with the best state on the validation part kept.

    Many steps run as one program on data that stay on the device. Which examples make a batch and all noise are pure
    functions of (seed, step), so a resumed training continues as if it had not stopped.

    Args:
      experiment: what to train; its `evaluate` gives `loss` among its values, smaller is better.
      splits: `train` is learnt from, `valid` decides; `test` is not touched.
      seed: of parameters, batches and noise.
      steps: of the whole training, those of earlier parts included.
      batch_size: examples a step.
      eval_every: steps between evaluations, each followed by a checkpoint; there is one after the last step too.
      log_every: steps between reports, and steps in one program.
      eval_batch_size: examples evaluated at a time.
      ema_decay: of a moving average of the parameters, which is what is evaluated and returned; 0 keeps none.
      patience: evaluations without improvement after which training stops; 0 never stops early.
      checkpoints: where to save; None saves nothing.
      resume: continue from the latest checkpoint, if there is one.
      init_params: parameters to start from instead of the experiment's initial ones.
      report: called with mean metrics of the steps since the last report, and after each evaluation.

    Returns:
      The result; nothing is trained where the resumed run had done all steps.

    Raises:
      UserError: if loss or gradients stop being finite: it names the step; checkpoints stay as they are.
    """
    first = first_batch(splits.train)
    state = create_train_state(experiment, jax.random.key(seed), first, keep_ema=ema_decay > 0, params=init_params)
    loop = LoopState(best=float("inf"), best_step=0, patience=0, seconds=0.0)
    best = _copy(evaluated_params(state))
    saved = checkpoints.latest_step() if checkpoints and resume else None
    if checkpoints and saved is not None:
        state, loop = checkpoints.restore(saved, state)
        best_state = checkpoints.restore(loop.best_step, state)[0] if loop.best_step else state
        best = _copy(evaluated_params(best_state))

    program = _Programs(make_train_step(experiment.loss, experiment.optimizer, ema_decay=ema_decay))
    evaluate = make_evaluator(experiment, eval_batch_size)
    train = on_device(splits.train)
    done = int(state.step)
    num_examples = _length(splits.train)
    while done < steps and not (patience and loop.patience >= patience):
        until = min(_next_multiple(done, log_every), _next_multiple(done, eval_every), steps)
        indices = jnp.asarray(batch_indices(seed, num_examples, batch_size, done, until - done))
        many_steps = program.compiled(state, train, indices)
        began = time.perf_counter()
        state, metrics = many_steps(state, train, indices)
        values = {name: np.asarray(value) for name, value in metrics.items()}
        seconds = time.perf_counter() - began
        _check_finite(values, done)
        if report:
            report(until, "train", {**_means(values), "images_per_second": (until - done) * batch_size / seconds})
        loop = loop._replace(seconds=loop.seconds + seconds)
        done = until

        if done % eval_every == 0 or done == steps:
            means = _means(evaluate(*evaluated_params(state), splits.valid))
            if not np.isfinite(means["loss"]):
                raise UserError(
                    f"Training stopped at step {done}: the validation loss is {means['loss']}, expected a finite "
                    "number; lower the learning rate. Checkpoints saved before stay as they are."
                )
            if report:
                report(done, "valid", means)
            if means["loss"] < loop.best:
                loop = loop._replace(best=means["loss"], best_step=done, patience=0)
                best = _copy(evaluated_params(state))
            else:
                loop = loop._replace(patience=loop.patience + 1)
            if checkpoints:
                checkpoints.save(state, loop, means["loss"])
    if checkpoints:
        checkpoints.wait()

    return FitResult(
        state=state,
        loop=loop,
        params=best[0],
        model_state=best[1],
        compile_seconds=program.compile_seconds,
        images_per_second=done * batch_size / max(loop.seconds, 1e-9),
    )


def make_evaluator(experiment: Experiment, batch_size: int) -> Evaluator:
    """Return a function that evaluates every example of a data set once.

    Args:
      experiment: gives `evaluate`.
      batch_size: examples at a time; the last batch is padded. It does not change the result: an example's noise
        depends on its index alone.

    Returns:
      (params, model_state, dataset) -> {name: [N, ...]}, an entry an example.
    """
    compiled = jax.jit(experiment.evaluate)

    def evaluate(params: Params, model_state: ModelState, dataset: Dataset) -> dict[str, np.ndarray]:
        parts: list[dict[str, np.ndarray]] = []
        for start, batch in padded_batches(dataset, batch_size):
            keys = evaluation_keys(start, batch_size)
            values = compiled(params, model_state, keys, batch)
            real = np.asarray(batch.mask) > 0
            parts.append({name: np.asarray(value)[real] for name, value in values.items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return evaluate


def evaluation_keys(start: int, num: int) -> PRNGKey:
    """Return the keys [num] of evaluated examples start, start + 1, ... of a part: the same for every model and run."""
    return example_keys(jax.random.fold_in(jax.random.key(0), EVALUATION), start + jnp.arange(num))


def evaluated_params(state: TrainState) -> tuple[Params, ModelState]:
    """Return the parameters that evaluation and sampling use, moving averages where there are any, and model state."""
    return (state.params if state.ema_params is None else state.ema_params), state.model_state


def first_batch(dataset: Dataset) -> Batch:
    """Return the real batch that `Experiment.init` asks for: random examples, as sources can be sorted by class."""
    return next(padded_batches(subset(dataset, min(INIT_EXAMPLES, _length(dataset)), seed=0), INIT_EXAMPLES))[1]


# ---------- private


class _Programs:
    """One compiled program for each number of steps, and the seconds that compiling took."""

    def __init__(self, train_step: Callable) -> None:
        self._jitted = scan_steps(train_step)
        self._compiled: dict[int, Callable] = {}
        self.compile_seconds = 0.0

    def compiled(self, state: TrainState, dataset: Dataset, indices: jax.Array) -> Callable:
        if indices.shape[0] not in self._compiled:
            began = time.perf_counter()
            self._compiled[indices.shape[0]] = self._jitted.lower(state, dataset, indices).compile()
            self.compile_seconds += time.perf_counter() - began
        return self._compiled[indices.shape[0]]


def _check_finite(values: dict[str, np.ndarray], done: int) -> None:
    bad = np.flatnonzero(values["finite"] == 0)
    if bad.size:
        loss, norm = values["loss"][bad[0]], values["grad_norm"][bad[0]]
        raise UserError(
            f"Training stopped at step {done + bad[0] + 1}: loss {loss:g} and gradient norm {norm:g} must be finite; "
            "lower the learning rate or clip gradients. Checkpoints saved before stay as they are."
        )


def _means(values: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: float(np.mean(value)) for name, value in values.items() if value.ndim == 1 and name != "finite"}


def _next_multiple(done: int, every: int) -> int:
    return (done // every + 1) * every


def _length(dataset: Dataset) -> int:
    return len(jax.tree.leaves(dataset.x)[0])


def _copy(tree: tuple[Params, ModelState]) -> tuple[Params, ModelState]:
    return jax.tree.map(jnp.copy, tree)
