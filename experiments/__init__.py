"""Front doors of the library, run from a clone: `python -m experiments.NAME`."""

import sys
from types import TracebackType


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say of an interrupt what it is, and of everything else where it comes from."""
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("error: interrupted before anything began.\n")
    else:
        sys.__excepthook__(kind, error, trace)


if sys.argv[0] == "-m":  # this package is imported for a command: what it needs takes seconds to be imported
    sys.excepthook = _end
