"""A bar for what takes longer than a person waits without one."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def progress(items: Sequence[Item], name: str) -> Iterable[Item]:
    """Go through items; after two seconds a bar shows how far, if tqdm is installed and someone watches."""
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    return tqdm(items, desc=name, delay=2, leave=False, disable=None)  # None: only on a terminal
