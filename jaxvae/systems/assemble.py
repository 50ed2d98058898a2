"""A `System` from its parts: with players to be trained, or without to be used."""

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
    """Return the system of some parts.

    Args:
      name: of the system.
      parts: what it is made of.
      players: those that learn.
      hparams: starting values of what their losses read from `StepInput.hparams`.
      init: of the parameters to start from; by default that of the parts.
      alternating: as in `Trainable`.

    Returns:
      The system.
    """
    trainable = Trainable(init or parts.init, tuple(players), parts.evaluate, hparams or {}, alternating)
    return System(name, parts.spec, parts.prepare, trainable, parts.use, parts)


def loaded(name: str, parts: Parts, hparams: Mapping[str, float]) -> System:
    """Return the system of some parts for use alone: it has no loss."""
    return assembled(name, parts, (), hparams=hparams)
