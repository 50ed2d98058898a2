"""Protocols of anomaly detection: what models learn from, and which test images they are to tell from which.

References:
  Ruff et al., "Deep one-class classification", 2018: one class against the rest.
  Nalisnick et al., "Do deep generative models know what they don't know?", 2019, arXiv:1810.09136: data against data.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxvae.data.classes import UNKNOWN
from jaxvae.data.parts import PARTS, cut_missing
from jaxvae.data.values import to_one_type
from jaxvae.errors import UserError
from jaxvae.types import Dataset, DataSpec, Splits

OWN, OTHER, HORIZONTAL, VERTICAL = range(4)  # groups of test images, of protocols without classes
CONTAMINATING = 0x636F6E74  # beside a seed, so that no draw is that of a training


class Question(NamedTuple):
    """Which groups of test images are normal, and which do not belong."""

    variant: str  # what it is a case of: the answers to all cases are averaged
    case: str  # the class, "" where there are none
    normal: int
    strange: tuple[int, ...]


class Asked(NamedTuple):
    """One model, and what it is asked."""

    name: str  # of its folder
    seed: int
    rows: np.ndarray | None  # of the training images that it learns from, all if None
    valid_rows: np.ndarray | None  # of the validation images, all if None
    questions: tuple[Question, ...]
    share: float = 0.0  # of its images that are anomalies


class Protocol(NamedTuple):
    """Models, and the test images of all groups."""

    test: Dataset  # N images without labels
    groups: np.ndarray  # [N]
    models: tuple[Asked, ...]


def with_validation(splits: Splits, name: str) -> Splits:
    """Return the parts with a tenth of the training images as validation images, where these are fewer.

    What is rare among normal images is told by validation images: 40 of a class, as MNIST has by its usual cut, are too
    few.

    Args:
      splits: the data.
      name: of the data.
    """
    train, valid, test = splits
    if 10 * len(valid.x) >= len(train.x):
        return splits
    labels = None if train.labels is None else np.concatenate([train.labels, valid.labels])
    parts = cut_missing({"train": Dataset(np.concatenate([train.x, valid.x]), labels), "test": test}, name)
    return Splits(*(parts[part] for part in PARTS))


def one_class(splits: Splits, spec: DataSpec, seeds: Sequence[int], shares: Sequence[float] = (0.0,)) -> Protocol:
    """Return one class against the rest: a model of every class, asked of all test images.

    Where a share is above 0, so many of the training and of the validation images of a class are replaced by images of
    other classes: of what a person takes for normal nothing is known to be.

    Args:
      splits: the data.
      spec: of the data.
      seeds: of trainings, and of what is replaced.
      shares: of the images of a class that are replaced, 0 to below 1.

    Raises:
      UserError: if images have no labels, there are fewer than two classes, or a class is missing in a part.
    """
    classes, models = _classes(splits, spec), []
    groups = np.asarray(splits.test.labels)
    for share in shares:
        variant = "one class" if tuple(shares) == (0.0,) else f"{100 * share:g} %"
        for seed in seeds:
            for label, name in classes.items():
                train, valid = (replaced_rows(part.labels, label, share, seed) for part in splits[:2])
                question = Question(variant, name, label, tuple(other for other in classes if other != label))
                folder = f"label={label}_share={share:g}_seed={seed}"
                models.append(Asked(folder, seed, train, valid, (question,), share))
    return Protocol(Dataset(splits.test.x, None), groups, tuple(models))


def other_data(splits: Splits, other: Dataset, name: str, seeds: Sequence[int]) -> Protocol:
    """Return data against data: models of all images, asked of the test images and of those of other data.

    Args:
      splits: the data.
      other: test images of other data, of the same shape and values.
      name: of the other data.
      seeds: of trainings.
    """
    own = splits.test.x
    x = np.concatenate(to_one_type([own, other.x]))
    groups = np.repeat([OWN, OTHER], [len(own), len(other.x)])
    return Protocol(Dataset(x, None), groups, _of_all_images(seeds, (Question(name, "", OWN, (OTHER,)),)))


def flips(splits: Splits, seeds: Sequence[int]) -> Protocol:
    """Return images against their mirror images, left to right and upside down, by models of all images.

    Args:
      splits: the data.
      seeds: of trainings.
    """
    x = splits.test.x
    groups = np.repeat([OWN, HORIZONTAL, VERTICAL], len(x))
    questions = (
        Question("horizontal flip", "", OWN, (HORIZONTAL,)),
        Question("vertical flip", "", OWN, (VERTICAL,)),
    )
    both = np.concatenate([x, x[:, :, ::-1], x[:, ::-1]])
    return Protocol(Dataset(both, None), groups, _of_all_images(seeds, questions))


def replaced_rows(labels: np.ndarray, label: int, share: float, seed: int) -> np.ndarray:
    """Return the rows of a class, a share of them replaced by rows of other classes, in order.

    Args:
      labels: of all images, [N].
      label: the class.
      share: of its rows, 0 to below 1; of one seed what a smaller share brings in is part of what a larger one does.
      seed: of the draw.
    """
    labels = np.asarray(labels)
    own, foreign = np.flatnonzero(labels == label), np.flatnonzero((labels != label) & (labels != UNKNOWN))
    num = min(round(share * len(own)), len(foreign))
    rng = np.random.default_rng([seed, label, CONTAMINATING])
    kept, brought = rng.permutation(own)[num:], rng.permutation(foreign)[:num]
    return np.sort(np.concatenate([kept, brought])).astype(np.int32)


# ---------- private


def _of_all_images(seeds: Sequence[int], questions: tuple[Question, ...]) -> tuple[Asked, ...]:
    return tuple(Asked(f"seed={seed}", seed, None, None, questions) for seed in seeds)


def _classes(splits: Splits, spec: DataSpec) -> dict[int, str]:
    """The classes of all images by their numbers, with their names."""
    if any(part.labels is None for part in splits):
        raise UserError(
            "One class against the rest needs labels, which these data do not have: choose another --data, or "
            "--protocol other_data or flip, which need none."
        )
    of_parts = [set(np.unique(part.labels).tolist()) - {UNKNOWN} for part in splits]
    classes = sorted(set.union(*of_parts))
    names = {label: spec.classes[label] if spec.classes else str(label) for label in classes}
    if len(classes) < 2:
        raise UserError(
            f"One class against the rest needs two classes, these data have {len(classes)}: choose another --data."
        )
    for part, found in zip(PARTS, of_parts, strict=True):
        if missing := [names[label] for label in classes if label not in found]:
            raise UserError(f"Class {missing[0]} has no image in the {part} part: give it some, or leave it out.")
    return names
