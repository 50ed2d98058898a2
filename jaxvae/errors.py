"""`UserError`, which the user can fix, and checks of shapes and values."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class UserError(ValueError):
    """A mistake in what was asked for: one sentence that says what was found, what was expected and what to do.

    Command lines print it without a traceback and exit with status 1.
    """


class Diverged(UserError):
    """A training whose loss or gradients are not finite: a study goes on without it."""


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


def check_values(name: str, array: Any, num_values: int) -> None:
    """Raise unless the entries of an array are in 0 to num_values - 1; what is being traced has no entries to check.

    Args:
      name: what the array is, for the message.
      array: numbers.
      num_values: how many values there are.

    Raises:
      ValueError: it names the first entry outside.
    """
    try:
        values = np.asarray(array)
    except TypeError:  # of what is being traced
        return
    outside = np.argwhere(~((values >= 0) & (values <= num_values - 1)))
    if len(outside):
        place = ", ".join(map(str, outside[0]))
        value = values[tuple(outside[0])]
        raise ValueError(f"{name}[{place}] is {value}, expected 0 to {num_values - 1}.")
