"""Make new images for each class of labelled ones: variants, images between two, or samples."""

import csv

import numpy as np

from jaxvae.applications.augmentation import METHODS, NewImages
from jaxvae.capabilities import find
from jaxvae.choices import Method
from jaxvae.commands.given import load_images, load_model
from jaxvae.commands.output import SHEET, check_place, writing
from jaxvae.commands.pictures import numbered, write_images
from jaxvae.commands.verb_flags import AugmentFlags
from jaxvae.errors import UserError
from jaxvae.runs.augmenter import Augmenter
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset
from jaxvae.viz import save_rows

LIST = "labels.csv"
MOST_ROWS, MOST_COLUMNS = 20, 12  # of the picture: classes, and images of each


def needed(trained: Trained) -> Method:
    """Return the first of the ways in which a model makes new images; a `UserError` if it has none."""
    for method, kinds in METHODS.items():
        if all(find(trained.system, kind) is not None for kind in kinds):
            return method
    raise UserError(
        f"{trained.system.name} makes no new images of classes: expected one of VAEs, autoencoders, and models of "
        "classes."
    )


def run(flags: AugmentFlags) -> None:
    """Make new images and write them into a folder for each class, with a list."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(), folder=True)
    trained = load_model(flags)
    method = flags.method or needed(trained)
    augmenter = Augmenter(trained, method, num=flags.num, balance=flags.balance, seed=flags.seed)
    dataset = load_images(flags, trained)
    if dataset.labels is None:
        raise UserError(
            f"{flags.data} has no classes, which new images are of: expected a folder for each class, or labels."
        )
    found = augmenter.new(dataset.x, dataset.labels)
    if not len(found.x):
        raise UserError("All classes have as many images as the largest one: leave --balance out for more of each.")
    names = _names(found, trained)
    with writing(place) as path:
        write_images(path, names, found.x)
        with (path / LIST).open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "class", "method", "made of"])
            writer.writerows(_rows(found, names, trained, dataset, method))
        save_rows(path / SHEET, _shown(found, trained))
    counts = np.unique(found.labels, return_counts=True)[1]
    each = f"{counts.min():,}" if counts.min() == counts.max() else f"{counts.min():,} to {counts.max():,}"
    print(f"{len(found.x):,} new images ({method}), {each} of each of {len(counts)} classes, in {place}.")
    print(f"Which they are is in {place / LIST}; {SHEET} shows some.")


# ---------- private


def _class(trained: Trained, label: int) -> str:
    return trained.spec.classes[label] if trained.spec.classes else str(label)


def _shown(found: NewImages, trained: Trained) -> dict[str, np.ndarray]:
    """The first images of the first classes, as many of each."""
    classes, counts = np.unique(found.labels, return_counts=True)
    num = min(MOST_COLUMNS, int(counts.min()))
    return {_class(trained, int(label)): found.x[found.labels == label][:num] for label in classes[:MOST_ROWS]}


def _names(found: NewImages, trained: Trained) -> list[str]:
    names = [""] * len(found.x)
    for label in np.unique(found.labels):
        rows = np.flatnonzero(found.labels == label)
        for row, number in zip(rows, numbered(len(rows)), strict=True):
            names[row] = f"{_class(trained, int(label))}/{number}.png"
    return names


def _rows(
    found: NewImages, names: list[str], trained: Trained, dataset: Dataset, method: str
) -> list[tuple[str, str, str, str]]:
    made_of = [" and ".join(str(dataset.names[row]) for row in rows) for rows in found.sources]
    classes = [_class(trained, int(label)) for label in found.labels]
    return list(zip(names, classes, [method] * len(names), made_of, strict=True))
