"""What a person must know of data that are read all the same: one line each, beside the results."""

import sys
from collections.abc import Sequence

NAMED = 3  # things that a line names before it counts the others


def notice(text: str, kind: str = "note") -> None:
    """Write a line to the standard error output.

    Args:
      text: one sentence.
      kind: `note` of what was read in one of several ways, `warning` of what makes results worthless.
    """
    print(f"{kind}: {text}", file=sys.stderr)


def listed(things: Sequence[object], most: int = NAMED) -> str:
    """Name the first of some things and count the others: "a.txt, b.txt, c.txt and 7 more"."""
    first = ", ".join(str(thing) for thing in things[:most])
    return first if len(things) <= most else f"{first} and {len(things) - most:,} more"


def counted(num: int, thing: str, things: str | None = None) -> str:
    """Return a number with its noun: "1 image", "20 images"."""
    return f"{num:,} {thing if num == 1 else things or thing + 's'}"
