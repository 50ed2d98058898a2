"""Progress bars of long computations, where tqdm is installed."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, TypeVar

Item = TypeVar("Item")


class NoBar:
    """A bar that shows nothing."""

    n = 0

    def update(self, number: int = 1) -> None:
        """Do nothing."""

    def set_postfix(self, shown: dict[str, Any]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def __enter__(self) -> "NoBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def progress_bar(total: int, unit: str, desc: str, initial: int = 0, show: bool = True) -> Any:
    """Return a tqdm bar, or one that shows nothing where that is wanted or tqdm is not installed.

    Args:
      total: units until the end.
      unit: name of one.
      desc: what is going on.
      initial: units that are done already.
      show: whether to show a bar.

    Returns:
      A context manager with `n`, `update`, `set_postfix` and `close`.
    """
    if not show:
        return NoBar()
    try:
        from tqdm import tqdm
    except ImportError:
        return NoBar()
    return tqdm(total=total, unit=unit, desc=desc, initial=initial, dynamic_ncols=True)


def progress(items: Sequence[Item], name: str) -> Iterable[Item]:
    """Iterate over items with a progress bar that appears after two seconds, in a terminal with tqdm."""
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    return tqdm(items, desc=name, delay=2, leave=False, disable=None)  # None: only on a terminal
