"""`fit`: from an experiment and data to trained parameters."""

from collections.abc import Callable

from jaxvae.training.checkpoint import Best
from jaxvae.training.distributed import any_process
from jaxvae.training.members import FitResult, Member, Settings, Training
from jaxvae.training.parallel import Layout, make_layout
from jaxvae.types import Experiment, Splits


def fit(
    experiment: Experiment,
    splits: Splits,
    member: Member,
    settings: Settings,
    *,
    layout: Layout | None = None,
    resume: bool = False,
    start: Best | None = None,
    stop: Callable[[], bool] | None = None,
) -> FitResult:
    """Train an experiment, with the best state on the validation part kept.

    Which examples make a batch and all noise are pure functions of (seed, step), so a resumed training continues as if
    it had not stopped: bit for bit on the same layout, to float32 rounding on another.

    Args:
      experiment: what to train; its `evaluate` gives `loss` among its values, smaller is better.
      splits: `train` is learnt from, `valid` decides; `test` is not touched.
      member: seed, checkpoints, report.
      settings: how long and how.
      layout: devices and how to run on them; None takes `make_layout()`.
      resume: continue from the latest checkpoint, if there is one.
      start: parameters and model state to start from instead of the experiment's initial ones, as of a `FitResult`.
      stop: asked between programs; when it returns true, the state is saved and the training ends early.

    Returns:
      The result; nothing is trained where the resumed run had done all steps.

    Raises:
      UserError: if loss or gradients stop being finite: it names the step; checkpoints stay as they are.
    """
    training = Training(experiment, splits, [member], settings, layout or make_layout(), start)
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
