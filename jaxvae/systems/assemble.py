"""Assemble a `System` from its parts, with players for training or without for inference."""

from collections.abc import Callable, Mapping, Sequence

from jaxvae.types import Batch, ModelState, Params, Parts, Player, PRNGKey, System, Trainable


def assembled(
    name: str,
    parts: Parts,
    players: Sequence[Player],
    *,
    hparams: Mapping[str, float] | None = None,
    init: Callable[[PRNGKey, Batch], tuple[Params, ModelState]] | None = None,
    alternating: bool = False,
) -> System:
    """Assemble a system from its parts.

    Args:
      name: of the system.
      parts: of the system.
      players: losses with their optimizers.
      hparams: starting values of what their losses read from `StepInput.hparams`.
      init: of the parameters to start from; by default that of the parts.
      alternating: as in `Trainable`.

    Returns:
      The system.
    """
    trainable = Trainable(init or parts.init, tuple(players), parts.evaluate, hparams or {}, alternating)
    return System(name, parts.spec, parts.prepare, trainable, parts.use, parts)


def loaded(name: str, parts: Parts, hparams: Mapping[str, float]) -> System:
    """Assemble a system for inference alone, without losses."""
    return assembled(name, parts, (), hparams=hparams)
