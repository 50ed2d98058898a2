"""How a command ends: a mistake with one sentence, an interrupt without a traceback, a closed pipe in silence."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

from jaxvae.errors import UserError, printable, shortened

AGAIN = 0.1  # seconds after which a lost interrupt comes again


@contextlib.contextmanager
def ending(interrupted: str, too_large: str) -> Iterator[None]:
    """Turn what ends a command into one line of the standard error output and status 1.

    Args:
      interrupted: what is said after "interrupted; " at Ctrl-C.
      too_large: what to make smaller where the memory is not enough.

    Raises:
      SystemExit: in place of a `UserError`, an interrupt, a full memory, or a reader of the lines that has gone.
    """
    raise_at_interrupts()
    try:
        with no_interrupt_lost():
            yield
        print(end="", flush=True)
    except UserError as error:
        sys.exit(f"error: {printable(str(error))}")
    except KeyboardInterrupt:
        sys.exit(f"error: interrupted; {interrupted}")
    except BrokenPipeError:
        _to_nobody()
        sys.exit(1)
    except (MemoryError, RuntimeError) as error:
        if not is_full(error):
            raise
        sys.exit(f"error: out of memory ({shortened(str(error))}): make {too_large} smaller.")


def say(text: str) -> None:
    """Print lines that nothing follows; whoever reads them may go before their end, as `grep -q` does."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _to_nobody()


def leave_at_interrupts() -> None:
    """Let a Ctrl-C end the process at once, with one sentence: while modules are imported, some swallow the exception.

    It is for a process that has begun nothing, and stays so until `raise_at_interrupts`. Interrupts that somebody else
    handles, or that are ignored, are left alone.
    """
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, _leave)


def raise_at_interrupts() -> None:
    """Let a Ctrl-C raise `KeyboardInterrupt` again, after `leave_at_interrupts`."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def no_interrupt_lost() -> Iterator[None]:
    """Let a Ctrl-C come again that came where no exception can leave, as in a callback of the garbage collector."""
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            threading.Timer(AGAIN, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        if sys.unraisablehook is hook:  # whoever has wrapped it passes on what this one does
            sys.unraisablehook = before


def is_full(error: Exception) -> bool:
    """Whether an error is that of a full memory: Python's own, or that of an accelerator."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


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


# ---------- private


def _to_nobody() -> None:
    """Let what is still to be printed go nowhere: whoever read it has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(number: int, frame: Any) -> NoReturn:
    os.write(2, b"error: interrupted before anything began.\n")
    os._exit(1)
