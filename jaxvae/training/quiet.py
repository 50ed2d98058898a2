"""What Orbax and TensorStore print of errors that they also raise: pages, before the one sentence that says it."""

import functools
import logging
import sys
from typing import Any


@functools.cache
def silence_orbax() -> None:
    """Leave out Orbax's warnings and errors, unless a person has asked for its log, and late calls of TensorStore."""
    logging.getLogger("absl").addFilter(_is_wanted)
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        """Pass on all but what TensorStore's threads say where Orbax gave up on a write or a read that still went on."""
        error = unraisable.exc_value
        if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
            before(unraisable)

    sys.unraisablehook = hook


# ---------- private


def _is_wanted(record: logging.LogRecord) -> bool:
    return "orbax" not in record.pathname or logging.NOTSET < logging.getLogger("absl").level <= logging.INFO
