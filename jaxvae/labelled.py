"""Images, or latents, with the class of each: what a system is given in their place that is conditional on these."""

from typing import Any, NamedTuple


class Labelled(NamedTuple):
    """Images or latents and their classes: an argument of the functions of a system that is conditional on these."""

    x: Any  # [B, ...]
    labels: Any  # [B] int32, or [B, K] float32, shares of several classes


def values_of(given: Any) -> Any:
    """Return the images or latents without their classes, if they have any."""
    return given.x if isinstance(given, Labelled) else given


def labels_of(given: Any) -> Any:
    """Return the classes, None of what has none."""
    return given.labels if isinstance(given, Labelled) else None


def same_labels(given: Any, values: Any) -> Any:
    """Return other images or latents with the classes of the given ones, or as they are if these have none."""
    return Labelled(values, given.labels) if isinstance(given, Labelled) else values
