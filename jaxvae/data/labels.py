"""Few labels among many images: which are known, drawn by class, and how a training sees both kinds."""

from typing import NamedTuple

import jax
import numpy as np

from jaxvae.data.classes import UNKNOWN
from jaxvae.errors import UserError
from jaxvae.types import Dataset, DataSpec, Splits


class Pool(NamedTuple):
    """Training images, or latents of them, twice: as they come without a class, and those with one."""

    train: Dataset  # [N + M]: all N with the label UNKNOWN, and then those with a class with theirs
    num_images: int  # N


def known_rows(splits: Splits, marker: int | None) -> np.ndarray:
    """Return the rows of training images that have a class.

    Args:
      splits: the data.
      marker: the label of images without one; None where all have one.

    Raises:
      UserError: if there are no labels, or the marker is a class of the validation or the test set.
    """
    if any(part.labels is None for part in splits):
        raise UserError("Classes need labels, which these data do not have: choose another --data.")
    parts = {"training": splits.train, "validation": splits.valid, "test": splits.test}
    for name, part in parts.items():
        if np.any(part.labels == UNKNOWN) and not (name == "training" and marker == UNKNOWN):
            expected = "a class for each" if marker == UNKNOWN or name != "training" else "--unlabelled -1 for these"
            raise UserError(f"Images of the {name} set have the label -1, that of no class: expected {expected}.")
    if marker is None:
        return np.arange(len(splits.train.labels))
    for name, part in list(parts.items())[1:]:
        if np.any(part.labels == marker):
            raise UserError(
                f"--unlabelled is {marker}, which is a class of the {name} set: expected a label that no class has."
            )
    return np.flatnonzero(splits.train.labels != marker)


def known_classes(splits: Splits, marker: int | None) -> np.ndarray:
    """Return the labels that occur in any part, in order, the marker left out; arguments and errors as `known_rows`."""
    known = splits.train.labels[known_rows(splits, marker)]
    if not len(known):
        raise UserError(f"--unlabelled is {marker}, the label of all training images: none is left to learn from.")
    return np.unique(np.concatenate([known, splits.valid.labels, splits.test.labels]))


def class_spec(splits: Splits, spec: DataSpec, marker: int | None) -> DataSpec:
    """Return the spec of the data with the classes of known labels alone."""
    num = int(known_classes(splits, marker)[-1]) + 1
    return spec._replace(num_classes=num, classes=spec.classes[:num])


def pool(splits: Splits, marker: int | None) -> Pool:
    """Return the training images without their classes, followed by those that have one."""
    rows, train = known_rows(splits, marker), splits.train
    hidden = np.full(len(train.labels), UNKNOWN, np.int32)
    images = jax.tree.map(lambda leaf: np.concatenate([leaf, leaf[rows]]), train.x)
    return Pool(Dataset(images, np.concatenate([hidden, train.labels[rows]])), len(hidden))


def draw_labels(labels: np.ndarray, num: int, classes: np.ndarray, seed: int) -> np.ndarray:
    """Draw images by class, as many of each as can be.

    Args:
      labels: of the images that have one, [M].
      num: how many images; where classes do not divide it, the first ones drawn at random have one more.
      classes: that there are, [K].
      seed: of the draw; of one seed a smaller draw is part of a larger one.

    Returns:
      Places in `labels`, [num].

    Raises:
      UserError: if there are fewer than one for each class, or not so many images.
    """
    if num < len(classes):
        raise UserError(f"--labels is {num}, fewer than the {len(classes)} classes: expected one for each at least.")
    if num > len(labels):
        raise UserError(f"--labels is {num}, expected at most {len(labels)}, the images that have one.")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    by_class = [order[labels[order] == label] for label in classes]
    missing = [label for label, rows in zip(classes, by_class, strict=True) if not len(rows)]
    if missing:
        raise UserError(f"Class {missing[0]} has no labelled training image: choose data with one of each class.")
    # Rounds over the classes until there are enough: small classes run out and the others give more.
    rounds = [by_class[k] for k in rng.permutation(len(classes))]
    chosen = [rows[i] for i in range(max(map(len, rounds))) for rows in rounds if i < len(rows)]
    return np.array(chosen[:num])


def training_rows(one: Pool, chosen: np.ndarray, fraction: float) -> np.ndarray:
    """Return the rows of a pool that a training goes through in an epoch.

    Args:
      one: the pool.
      chosen: places among its images with a class, of those whose class is known.
      fraction: the part of an epoch that these are to be, by repetition; they come once at least.

    Returns:
      Rows, int32.
    """
    repeats = max(1, round(fraction / (1 - fraction) * one.num_images / len(chosen)))
    rows = [np.arange(one.num_images), np.tile(one.num_images + chosen, repeats)]
    return np.concatenate(rows).astype(np.int32)
