"""Which members of a resumed sweep can be trained together."""

from collections.abc import Mapping
from pathlib import Path

from jaxvae.training import Checkpoints


def saved_steps(folder: Path) -> frozenset[int]:
    """Return the steps of the checkpoints in a run's folder."""
    if not (folder / "checkpoints").is_dir():
        return frozenset()
    with Checkpoints(folder / "checkpoints", read_only=True) as checkpoints:
        return frozenset(checkpoints.all_steps())


def resumable_together(steps: Mapping[int, frozenset[int]]) -> list[list[int]]:
    """Return groups of members that can go on together: those without checkpoints, and those that share one.

    Args:
      steps: of the checkpoints of every member.
    """
    new = [i for i, saved in steps.items() if not saved]
    old = [i for i, saved in steps.items() if saved]
    if old and frozenset.intersection(*(steps[i] for i in old)):
        return [group for group in (new, old) if group]
    by_newest: dict[int, list[int]] = {}
    for i in old:
        by_newest.setdefault(max(steps[i]), []).append(i)
    return [group for group in (new, *by_newest.values()) if group]
