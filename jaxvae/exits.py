"""How a command ends: a mistake with one sentence, an interrupt without a traceback, a closed pipe in silence."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from jaxvae.errors import UserError


@contextlib.contextmanager
def ending(interrupted: str, too_large: str) -> Iterator[None]:
    """Turn what ends a command into one line of the standard error output and status 1.

    Args:
      interrupted: what is said after "interrupted; " at Ctrl-C.
      too_large: what to make smaller where the memory is not enough.

    Raises:
      SystemExit: in place of a `UserError`, an interrupt, a full memory, or a reader of the lines that has gone.
    """
    try:
        yield
        print(end="", flush=True)
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(f"error: interrupted; {interrupted}")
    except BrokenPipeError:  # whoever read the lines has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MemoryError as error:
        sys.exit(f"error: out of memory ({str(error)[:100]}): make {too_large} smaller.")


@contextlib.contextmanager
def ending_by_signal() -> Iterator[None]:
    """Let SIGTERM raise `SystemExit` with status 143, so that what is half-written is removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return  # only the main thread hears signals

    def end(number: int, frame: Any) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
