"""Attributes of images: from a CSV file with a line an image, or by their classes."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxvae.data.classes import UNKNOWN
from jaxvae.data.notices import listed
from jaxvae.data.places import located
from jaxvae.errors import UserError, shortened
from jaxvae.types import Dataset

VALUES = {"1": True, "true": True, "yes": True, "0": False, "-1": False, "false": False, "no": False}


def read_attribute(path: str | Path, name: str, images: Sequence[str]) -> np.ndarray:
    """Read which images have an attribute.

    Args:
      path: a CSV file: a first line with the names of the columns; paths of images in the first one, as `encode` writes
        them; attributes in the others, 1 or 0, 1 or -1, true or false, yes or no.
      name: of the attribute, a column.
      images: their paths or numbers, as `jaxvae.data.load_for` names them. The file may have others too.

    Returns:
      Booleans, [N].

    Raises:
      UserError: if the file cannot be read, has no such column or not all of the images, or a value is something else.
    """
    place = located(path, "--attributes ")
    try:
        with place.open(newline="", encoding="utf-8-sig") as file:
            header, *lines = [line for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{place} cannot be read ({error}): expected a CSV file of attributes.") from error
    except ValueError as error:
        raise UserError(f"{place} is empty: expected a line of column names, and a line for each image.") from error
    if name not in header[1:]:
        raise UserError(f"{place} has no attribute {shortened(name)}: it has {listed(header[1:], 10) or 'none'}.")
    column, found = header.index(name, 1), {}
    for number, line in enumerate(lines, 2):
        value = line[column].strip().lower() if column < len(line) else ""
        if value not in VALUES:
            raise UserError(
                f"{place} has {shortened(value) or 'nothing'} for {name} in line {number}: expected 1 or 0, or 1 or -1."
            )
        found[line[0].strip()] = VALUES[value]
    missing = [image for image in images if image not in found]
    if missing:
        first = next(iter(found), "nothing")
        raise UserError(
            f"{place} does not name {len(missing):,} of the {len(images):,} images, {listed(missing)}: expected a line "
            f"for each; the first that it names is {shortened(first)}."
        )
    return np.array([found[image] for image in images])


def attribute_of_class(dataset: Dataset, name: str, classes: Sequence[str]) -> np.ndarray:
    """Return which images are of a class.

    Args:
      dataset: N images.
      name: of the class, or its number.
      classes: names of all classes, where they have some.

    Returns:
      Booleans, [N].

    Raises:
      UserError: if the images have no classes, or not this one.
    """
    if dataset.labels is None:
        raise UserError(
            "The images have no classes: expected --attributes, a CSV file that says which have the attribute."
        )
    numbers = np.unique(dataset.labels[dataset.labels != UNKNOWN])
    known = {str(number): number for number in numbers} | {one: i for i, one in enumerate(classes)}
    if name not in known:
        raise UserError(f"There is no class {shortened(name)}: expected one of {listed(list(classes or numbers), 20)}.")
    return np.asarray(dataset.labels) == known[name]
