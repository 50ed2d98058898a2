"""The model and the images that a verb is given, and what is said of them."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxvae.applications.generation import class_labels
from jaxvae.applications.given_classes import num_classes_of
from jaxvae.commands.flags import ImageFlags, ModelFlags, SomeImageFlags
from jaxvae.data.for_model import load_files, load_for
from jaxvae.data.notices import counted
from jaxvae.data.transforms import to_unit
from jaxvae.errors import UserError
from jaxvae.runs.compiled import keep_compiled_programs
from jaxvae.runs.load import load
from jaxvae.runs.state import state_of
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset, DataSpec


def load_model(flags: ModelFlags) -> Trained:
    """Load the model; of a run that is not finished its best so far is taken, which is said.

    Raises:
      UserError: as `jaxvae.load`.
    """
    keep_compiled_programs()
    trained = load(flags.run, imports=flags.imports)
    if trained.folder is not None:
        state = state_of(trained.folder)
        if state.kind in ("unfinished", "in training"):
            print(
                f"note: {trained.folder} is {state}: its best so far, of step {state.best.get('step', 0):,}, is taken.",
                file=sys.stderr,
            )
    return trained


def load_images(flags: ImageFlags, trained: Trained, *, noisy: bool = False, spec: DataSpec | None = None) -> Dataset:
    """Load the images as the model takes them, and say what they are.

    Args:
      flags: which images.
      trained: the model.
      noisy: as of `jaxvae.data.load_for`.
      spec: as which the images are taken, by default that of the model.

    Raises:
      UserError: as `jaxvae.data.load_for`.
    """
    spec = trained.spec if spec is None else spec
    dataset = load_for(spec, flags.data, part=flags.part, resize=flags.resize, noisy=noisy)
    found = spec._replace(num_values=256) if noisy and dataset.x.dtype == np.float32 else spec
    resized = ", resized" if flags.resize else ""
    part = f"the {flags.part} part of " if flags.part else ""
    print(f"{counted(len(dataset.x), 'image')} from {part}{flags.data}, {said(found)}{resized}.")
    return dataset


def load_some(flags: SomeImageFlags, trained: Trained, which: Sequence[str]) -> np.ndarray:
    """Load single images, [num, H, W, C]: files, or rows of a source by their numbers.

    Raises:
      UserError: as `jaxvae.data.load_for`; if there is no such image.
    """
    if flags.data is None:
        x: np.ndarray = load_files(trained.spec, which, resize=flags.resize).x
        return x
    rows = [int(one) if one.isdecimal() else -1 for one in which]
    dataset = load_for(trained.spec, flags.data, part=flags.part, resize=flags.resize)
    for one, row in zip(which, rows, strict=True):
        if not 0 <= row < len(dataset.x):
            last = len(dataset.x) - 1
            raise UserError(f"There is no image {one} in {flags.data}: expected a number from 0 to {last}.")
    return np.asarray(dataset.x)[rows]


def label_of(trained: Trained, label: str | None) -> int | str | None:
    """Return a class that was typed, its number or its name; None where none was."""
    if label is None or label in trained.spec.classes or not label.isdecimal():
        return label
    return int(label)


def labels_given(trained: Trained, labels: Any, label: str | None, num: int) -> np.ndarray | None:
    """Return the classes of images, [N]: one for all that was typed, or their own; None for a model that takes none.

    Args:
      trained: the model.
      labels: of the data, or None.
      label: of `--label`.
      num: N.

    Raises:
      UserError: if one was typed and the model takes none, or there is no such class, or it takes some and there are
        none.
    """
    num_classes, system = num_classes_of(trained.system), trained.system
    if not num_classes:
        if label is not None:
            raise UserError(f"{system.name} is not conditional on classes: leave --label out.")
        return None
    if label is not None:
        return class_labels(system, num_classes, label_of(trained, label), num)
    if labels is None:
        raise UserError(
            f"{system.name} is conditional on classes and the images have no labels: give --label, a class of all of "
            "them, or images of a source with labels, as a folder with a sub-folder for every class."
        )
    return np.asarray(labels)


def said(spec: DataSpec) -> str:
    """Return what images are, in words: "28x28, black and white"."""
    height, width, channels = spec.shape
    kind = "colour" if channels == 3 else "black and white" if spec.num_values == 2 else "grey"
    return f"{width}x{height} pixels, {kind}"


def in_unit(dataset: Dataset, spec: DataSpec) -> np.ndarray:
    """Return images as floats in [0, 1]."""
    return np.asarray(to_unit(dataset.x, spec.num_values))


def rate(num: int, seconds: float) -> str:
    """Return how many images that is a second: "2,031 images/s", or "0.85 images/s"."""
    speed = num / seconds
    return f"{speed:,.0f} images/s" if speed >= 10 else f"{speed:.2g} images/s"
