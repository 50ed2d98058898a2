"""Classify images: the class and the probabilities of all classes."""

import csv

import numpy as np

from jaxvae.capabilities import Classifies, require
from jaxvae.commands.given import load_images, load_model
from jaxvae.commands.output import check_place, writing
from jaxvae.commands.verb_flags import ClassifyFlags
from jaxvae.data.classes import UNKNOWN
from jaxvae.runs.trained import Trained


def needed(trained: Trained) -> Classifies:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return require(trained.system, Classifies)


def run(flags: ClassifyFlags) -> None:
    """Classify images and write their classes."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".csv",), folder=False)
    trained = load_model(flags)
    needed(trained)
    dataset = load_images(flags, trained)
    probabilities = trained.classify(dataset.x, seed=flags.seed)
    found = probabilities.argmax(axis=1)
    names = trained.spec.classes or tuple(map(str, range(probabilities.shape[1])))
    with writing(place) as path, path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "class", *(f"p({name})" for name in names)])
        for source, number, row in zip(dataset.names, found, probabilities, strict=True):
            writer.writerow([source, names[number], *(f"{value:.7g}" for value in row)])
    print(f"Classes of {len(found):,} images in {place}.")
    known = np.flatnonzero(dataset.labels != UNKNOWN) if dataset.labels is not None else np.array([], int)
    if len(known):
        wrong = int((found[known] != dataset.labels[known]).sum())
        print(f"{wrong:,} of {len(known):,} images of a known class are in another one: {wrong / len(known):.2%}.")
