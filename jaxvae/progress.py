"""Progress bars of long computations, where tqdm is installed: on a terminal, in a file, in a notebook."""

import functools
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, TypeVar

Item = TypeVar("Item")

BEAT = 1.0  # seconds after which a bar is drawn anew though nothing was done: its clock shows that all is well


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


def progress_bar(total: int, unit: str, desc: str, initial: int = 0, show: bool = True, first: str = "") -> Any:
    """Return a tqdm bar, or one that shows nothing where that is wanted or tqdm is not installed.

    Its clock goes on while a unit takes long: on a terminal always, in a file until the first unit is done.

    Args:
      total: units until the end.
      unit: name of one.
      desc: what is going on.
      initial: units that are done already.
      show: whether to show a bar.
      first: what it says until the first unit is done.

    Returns:
      A context manager with `n`, `update`, `set_postfix` and `close`.
    """
    if not show:
        return NoBar()
    try:
        bar = _bar_class()(total=total, unit=unit, desc=desc, initial=initial, dynamic_ncols=True)
    except ImportError:
        return NoBar()
    if first:
        bar.set_postfix_str(first)
    return bar


def progress(items: Iterable[Item], name: str, total: int | None = None) -> Iterable[Item]:
    """Iterate over items with a progress bar that appears after two seconds, in a terminal with tqdm.

    Args:
      items: what is done one after another.
      name: what is going on.
      total: number of items, where they do not know it.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return items
    return tqdm(items, desc=name, total=total, delay=2, leave=False, disable=None)  # None: only on a terminal


# ---------- private


@functools.cache
def _bar_class() -> Any:
    from tqdm.auto import tqdm

    class Bar(tqdm):
        """A bar that is drawn every second, by a thread of its own."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self._ended = threading.Event()
            threading.Thread(target=self._beat, daemon=True).start()

        def _beat(self) -> None:
            terminal = getattr(self.fp, "isatty", lambda: False)()
            while not self._ended.wait(BEAT) and (terminal or self.n == self.initial):
                self.refresh()

        def close(self) -> None:
            self._ended.set()
            super().close()

    return Bar
