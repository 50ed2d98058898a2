"""Many trainings of one system as one program: seeds and hyper-parameters, by `vmap`.

Whatever enters the step as an array can differ: the seed (parameters, batches, noise), the system's `hparams`
(beta, warm-up, ...) and what its optimizer was given by `optax.inject_hyperparams` (the learning rate, ...). Shapes and
networks cannot.
"""

from collections.abc import Callable, Sequence

from jaxvae.training.checkpoint import Best
from jaxvae.training.checks import check_splits
from jaxvae.training.loop import train_to_end
from jaxvae.training.parallel import sweep_layout
from jaxvae.training.trainer import FitResult, Member, Settings, Training
from jaxvae.types import Splits, System


def fit_sweep(
    system: System,
    splits: Splits,
    members: Sequence[Member],
    settings: Settings,
    *,
    num_devices: int | None = None,
    resume: bool = False,
    start: Best | None = None,
    stop: Callable[[], bool] | None = None,
) -> list[FitResult]:
    """Train members together; each ends as if it had been trained alone by `fit`, to float32 rounding.

    A member that diverges freezes alone and says so in its `failure`; one that has run out of patience keeps its best
    parameters. Both are saved on, so that all members can be resumed together.

    Args:
      system: what to train.
      splits: the data, the same for all.
      members: M trainings.
      settings: as of `fit`; the batch size is that of each member.
      num_devices: members are divided among them, so their largest divisor that divides M is used; None as in
        `make_layout`.
      resume: continue from the newest checkpoint that all members have.
      start: as of `fit`, the same for all.
      stop: as of `fit`.

    Returns:
      A result for each member.
    """
    check_splits(splits, system.spec)
    layout = sweep_layout(len(members), num_devices)
    training = Training(system, splits, members, settings, layout, start, together=True)
    return train_to_end(training, resume, stop)
