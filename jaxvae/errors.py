"""The error that a person can mend, and the shape check that raises it."""

from collections.abc import Sequence
from typing import Any


class UserError(ValueError):
    """A mistake in what was asked for: one sentence that says what was found, what was expected and what to do.

    Command lines print it without a traceback and exit with status 1.
    """


def check_shape(name: str, array: Any, expected: Sequence[int | None]) -> None:
    """Raise unless an array has the expected shape.

    Args:
      name: what the array is, for the message.
      array: anything with a `shape`.
      expected: the shape; None stands for any length.

    Raises:
      ValueError: if the number of axes or a length differs.
    """
    shape = tuple(array.shape)
    if len(shape) != len(expected) or any(
        want is not None and got != want for got, want in zip(shape, expected, strict=False)
    ):
        want = ", ".join("any" if n is None else str(n) for n in expected)
        raise ValueError(f"{name} has shape {list(shape)}, expected [{want}].")
