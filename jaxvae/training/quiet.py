"""What Orbax and TensorStore print of errors that they also raise: pages, before the one sentence that says it."""

import functools
import logging
import sys
from typing import Any


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
    places, trace = [record.pathname], record.exc_info[2] if record.exc_info else None
    while trace is not None:  # of tasks that were given up
        places.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    asked_for = logging.NOTSET < logging.getLogger("absl").level <= logging.INFO
    return asked_for or not any("orbax" in place for place in places)
