"""Turn SIGTERM and Ctrl-C into a request to stop after the current program and a checkpoint."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Asked:
    """Whether a training was asked to end, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None


@contextlib.contextmanager
def told_to_end() -> Iterator[Asked]:
    """Give what knows whether SIGTERM or Ctrl-C has come; a second one ends the process at once."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return  # only the main thread hears signals

    def handle(number: int, frame: Any) -> None:
        asked.signal = number
        for other, action in before.items():
            signal.signal(other, action)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, action in before.items():
            signal.signal(number, action)
