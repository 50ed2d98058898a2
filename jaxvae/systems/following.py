"""Schedules that follow the steps of the training, of systems that are built before these are known."""

from collections.abc import Callable
from typing import Any

import optax

from jaxvae.types import System

OfSteps = Callable[[int], optax.GradientTransformation]  # the optimizer of a training of so many steps


class FollowingOptimizer(optax.GradientTransformationExtraArgs):
    """An optimizer whose schedule `with_steps` can make that of another number of steps; else one like any other."""

    of_steps: OfSteps

    def __new__(cls, of_steps: OfSteps, steps: int) -> "FollowingOptimizer":
        self = super().__new__(cls, *optax.with_extra_args_support(of_steps(steps)))
        self.of_steps = of_steps
        return self


class ShareOfSteps(float):
    """A number of steps among the `hparams` of a system, as of a warm-up, that is a share of those of the training."""

    share: float

    def __new__(cls, share: float, steps: int) -> "ShareOfSteps":
        self = super().__new__(cls, round(share * steps))
        self.share = share
        return self


def with_steps(system: System, steps: int) -> System:
    """Return a system with the schedules of a training of so many steps, as far as they follow it.

    Args:
      system: what it was given by hand, another optimizer or a plain number of steps, stays as it is.
      steps: of the training.
    """

    def of_player(player: Any) -> Any:
        of_steps = getattr(player.optimizer, "of_steps", None)
        return player if of_steps is None else player._replace(optimizer=FollowingOptimizer(of_steps, steps))

    trainable = system.trainable
    hparams = {
        name: ShareOfSteps(value.share, steps) if isinstance(value, ShareOfSteps) else value
        for name, value in trainable.hparams.items()
    }
    players = tuple(map(of_player, trainable.players))
    return system._replace(trainable=trainable._replace(players=players, hparams=hparams))


def followed(system: System) -> frozenset[str]:
    """Return the names of the `hparams` that follow the steps of the training."""
    return frozenset(name for name, value in system.trainable.hparams.items() if isinstance(value, ShareOfSteps))
