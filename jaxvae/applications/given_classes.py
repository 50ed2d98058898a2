"""The classes of images that a system needs which is conditional on these."""

from typing import Any

import numpy as np

from jaxvae.capabilities import Completes, GivenClasses, ScoresExactly, find
from jaxvae.data.arrays import as_array
from jaxvae.data.batches import num_examples
from jaxvae.errors import UserError
from jaxvae.labelled import Labelled
from jaxvae.types import Dataset, System


def with_classes(system: System, dataset: Dataset) -> Dataset:
    """Return a data set as a system's functions take it: a `Labelled`, of one that is conditional on classes.

    Args:
      system: whose capabilities are used.
      dataset: N images, or latents, and their labels where the system needs some.

    Returns:
      The data set without labels, which are in its images.

    Raises:
      UserError: if labels that it needs are missing, or are no classes of the system.
    """
    able = find(system, GivenClasses)
    if able is None:
        return dataset._replace(labels=None)
    labels: Any = dataset.labels
    if labels is not None and np.ndim(labels) == 2:  # shares of classes, between two of them
        return Dataset(Labelled(dataset.x, np.asarray(labels, np.float32)), None)
    return Dataset(Labelled(dataset.x, needed_labels(able.num_classes, dataset, system.name)), None)


def num_classes_of(system: System) -> int:
    """Return how many classes a system is conditional on, K: it scores or completes images given these; else 0."""
    able = (find(system, kind) for kind in (GivenClasses, ScoresExactly, Completes))
    return max(getattr(one, "num_classes", 0) for one in able)


def needed_labels(num_classes: int, dataset: Dataset, name: str) -> np.ndarray | None:
    """Return the labels that a system needs which is conditional on classes, None of one that needs none.

    Args:
      num_classes: K; 0 of a system that needs none.
      dataset: N images and their labels.
      name: of the system, for messages.

    Raises:
      UserError: if labels are missing, or are no classes of the model, one for every image.
    """
    if not num_classes:
        return None
    if dataset.labels is None:
        raise UserError(f"{name} is conditional on classes: expected labels, one from 0 to {num_classes - 1} each.")
    labels = as_array(dataset.labels, "labels")
    if labels.dtype.kind not in "ui" or labels.shape != (num_examples(dataset),):
        raise UserError(
            f"The labels are {labels.dtype} of shape {list(labels.shape)}, expected an integer for each of the "
            f"{num_examples(dataset)} images."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise UserError(f"The labels are from {low} to {high}, the classes of {name} from 0 to {num_classes - 1}.")
    return labels.astype(np.int32)
