"""What probes need of features and classes, said in one sentence where it is not there."""

import importlib
from typing import Any

import numpy as np

from jaxvae.errors import UserError
from jaxvae.types import Dataset, Splits

NEIGHBOURS = (1, 3, 5, 10)  # that a vote is tried with


def check_training(probe: str, part: Dataset, *, examples: int = 1, each: int = 1) -> None:
    """Raise unless a probe can be fitted to a training set.

    Args:
      probe: its name, for the message.
      part: features [N, D] and labels.
      examples: how many it needs.
      each: how many of every class.

    Raises:
      UserError: if there are no labels, or some without a class, fewer than two classes, fewer examples than needed of
        all or of a class, or features that are not finite.
    """
    check_features(probe, part)
    classes, counts = np.unique(part.labels, return_counts=True)
    if len(classes) < 2:
        raise UserError(f"{probe} needs two classes, all {len(part.x)} examples are of one: choose data of several.")
    rarest = np.argmin(counts)
    if counts[rarest] < each:
        raise UserError(
            f"{probe} needs {each} examples of every class, class {classes[rarest]} has {counts[rarest]}: "
            "take more of them, or leave the class out."
        )
    if len(part.x) < examples:
        raise UserError(f"{probe} needs {examples} examples, the training set has {len(part.x)}: take more images.")


def check_features(probe: str, part: Dataset) -> None:
    """Raise a `UserError` unless there are features, finite ones, each with a class; arguments as `check_training`."""
    if part.labels is None:
        raise UserError(f"{probe} needs labels, which these data do not have: choose another --data.")
    if not len(part.x):
        raise UserError(f"{probe} needs training, validation and test images, of one there are none: take more.")
    if np.any(np.asarray(part.labels) < 0):
        raise UserError(f"{probe} needs a class of every example, some have {np.min(part.labels)}: leave these out.")
    check_finite(probe, part.x)


def check_finite(probe: str, features: Any) -> None:
    """Raise a `UserError` unless features are finite, as those of a training that diverged are not."""
    if not np.all(np.isfinite(features)):
        raise UserError(f"{probe} needs finite features, some are not: the model may have diverged.")


def check_parts(probe: str, splits: Splits, *, examples: int = 1, each: int = 1) -> None:
    """Raise a `UserError` unless a probe can be fitted, chosen and scored; arguments as `check_training`."""
    check_training(probe, splits.train, examples=examples, each=each)
    for part in (splits.valid, splits.test):
        check_features(probe, part)


def check_probes(splits: Splits) -> None:
    """Raise unless all probes can be fitted, chosen and scored: linear, k-NN, MLP, and a clustering of the test set.

    Args:
      splits: features or images [N, ...], and labels.

    Raises:
      UserError: as each of them does; it says which needs what.
    """
    for check in (check_linear, check_knn, check_mlp):
        check(splits)
    check_clusters(splits.test)


def check_linear(splits: Splits) -> None:
    """Raise a `UserError` unless a logistic regression can be fitted."""
    check_parts("A logistic regression", splits)


def check_knn(splits: Splits) -> None:
    """Raise a `UserError` unless there are as many examples as neighbours."""
    check_parts(f"A vote of {NEIGHBOURS[-1]} neighbours", splits, examples=NEIGHBOURS[-1])


def check_mlp(splits: Splits) -> None:
    """Raise a `UserError` unless a tenth of the training set can be held out, in which every class has a place."""
    probe = "A network that stops early"
    check_features(probe, splits.train)
    held_out = max(2, len(np.unique(splits.train.labels)))
    check_parts(probe, splits, examples=10 * (held_out - 1) + 1, each=2)


def check_clusters(part: Dataset) -> None:
    """Raise a `UserError` unless there are two classes, which clusters can agree with."""
    check_training("A clustering by classes", part)


def sklearn_module(name: str, probe: str = "Probes") -> Any:
    """Return a module of scikit-learn.

    Args:
      name: as "svm".
      probe: what needs it, for the message.

    Raises:
      UserError: if scikit-learn is not installed.
    """
    try:
        return importlib.import_module(f"sklearn.{name}")
    except ImportError as error:
        raise UserError(
            f'{probe} need scikit-learn, which is not installed; pip install "jaxvae[experiments]".'
        ) from error
