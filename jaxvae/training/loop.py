"""`fit`: from a system and data to trained parameters."""

from collections.abc import Callable

from jaxvae.training.checkpoint import Best, Checkpoints
from jaxvae.training.checks import check_splits
from jaxvae.training.distributed import any_process
from jaxvae.training.layouts import choose_layout
from jaxvae.training.parallel import Layout
from jaxvae.training.trainer import FitResult, Member, Report, Settings, Training
from jaxvae.types import Splits, System


def fit(
    system: System,
    splits: Splits,
    settings: Settings,
    *,
    seed: int = 0,
    checkpoints: Checkpoints | None = None,
    report: Report | None = None,
    layout: Layout | None = None,
    resume: bool = False,
    start: Best | None = None,
    stop: Callable[[], bool] | None = None,
) -> FitResult:
    """Train a system, with the best state on the validation set kept.

    Which examples make a batch and all noise are pure functions of (seed, step), so a resumed training continues as if
    it had not stopped: bit for bit on the same layout, to float32 rounding on another.

    Args:
      system: what to train; its `evaluate` gives `loss` among its values, smaller is better.
      splits: `train` is learnt from, `valid` decides; `test` is not touched.
      settings: how long and how.
      seed: of parameters, batches and noise.
      checkpoints: where to save; None saves nothing.
      report: called with the steps done, "train" or "valid", and means: of the steps since the last report, and after
        evaluations.
      layout: devices and how to run on them; None takes what `choose_layout` chooses.
      resume: continue from the latest checkpoint, if there is one.
      start: parameters and model state to start from instead of the system's initial ones, as of a `FitResult`.
      stop: asked between programs; when it returns true, the state is saved and the training ends early.

    Returns:
      The result; nothing is trained where the resumed run had done all steps.

    Raises:
      UserError: if loss or gradients stop being finite: it names the step; checkpoints stay as they are. If data,
        loss or `evaluate` are not what a training takes.
    """
    check_splits(splits, system.spec)
    member = Member(seed, checkpoints=checkpoints, report=report)
    layout = layout or choose_layout(system, splits.train, settings.batch_size)
    training = Training(system, splits, [member], settings, layout, start)
    return train_to_end(training, resume, stop)[0]


def train_to_end(training: Training, resume: bool, stop: Callable[[], bool] | None) -> list[FitResult]:
    """The loop of `fit`, which trains one member, and of `fit_sweep`, which trains several together."""
    settings = training.settings
    if resume:
        training.restore()
    stopped = False
    while training.done < settings.steps and training.goes_on() and not stopped:
        training.run()
        stopped = any_process(stop is not None and stop())
        done, last = training.done, training.done == settings.steps
        evaluated = last or done % settings.eval_every == 0
        if evaluated:
            training.evaluate()
        due = evaluated if settings.save_every == 0 else done % settings.save_every == 0
        if due or last or stopped or not training.goes_on():
            training.save()
    return training.results()
