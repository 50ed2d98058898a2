"""`UserError`, which the user can fix, and checks of shapes and values."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

SHOWN = 200  # signs of what a person gave, in a message
MOST, MOST_SEED = 10**9, 2**32 - 1  # of what a person may ask for


class UserError(ValueError):
    """A mistake in what was asked for: one sentence that says what was found, what was expected and what to do.

    Command lines print it without a traceback and exit with status 1.
    """


class Diverged(UserError):
    """A training whose loss or gradients are not finite: a study goes on without it."""


def printable(text: str) -> str:
    """Return a text with escapes for line breaks, other control characters and what is no character at all."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def shortened(text: str) -> str:
    """Return a text that fits into a sentence, in one line."""
    text = printable(text)
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]}...{text[-SHOWN // 2 :]}"


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


def whole_number(name: str, value: Any, least: int = 1, most: int = MOST) -> int:
    """Return a number that a person gives.

    Args:
      name: of the argument, for the message.
      value: given.
      least: possible.
      most: possible.

    Raises:
      UserError: if it is no whole number, or another one.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or not least <= number <= most:
        expected = f"at least {least}" if number < least or isinstance(value, bool) else f"at most {most:,}"
        raise UserError(f"{name} is {shortened(str(value))}, expected a whole number of {expected}.")
    return number
