"""What Orbax and TensorStore print of errors that they also raise: pages, before the one sentence that says it."""

import functools
import logging
import sys
from typing import Any

MARKS = ("orbax", "OCDBT", "TensorStore")  # the package, its format, and what writes that


@functools.cache
def silence_orbax() -> None:
    """Leave out Orbax's warnings and errors, unless a person has asked for its log, and late calls of TensorStore."""
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(_is_wanted)
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        """Pass on all but what is said of a write or a read that Orbax has given up on."""
        late = str(unraisable.exc_value) == "Event loop is closed"  # in a thread of TensorStore
        code = getattr(unraisable.object, "cr_code", None)  # of a coroutine that was given up
        if not late and "orbax" not in getattr(code, "co_filename", ""):
            before(unraisable)

    sys.unraisablehook = hook


# ---------- private


def _is_wanted(record: logging.LogRecord) -> bool:
    if logging.NOTSET < logging.getLogger("absl").level <= logging.INFO:
        return True
    said, trace = [record.pathname, record.getMessage()], record.exc_info[2] if record.exc_info else None
    while trace is not None:
        said.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    return not any(mark in text for text in said for mark in MARKS)
