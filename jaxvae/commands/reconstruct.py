"""Encode images and decode their codes: what the model keeps of them."""

import numpy as np

from jaxvae.capabilities import Codes, Encodes, require_any
from jaxvae.commands.given import in_unit, labels_given, load_images, load_model
from jaxvae.commands.output import check_place
from jaxvae.commands.pictures import write_pictures
from jaxvae.commands.verb_flags import ReconstructFlags
from jaxvae.runs.trained import Trained
from jaxvae.viz import save_reconstructions


def needed(trained: Trained) -> Codes | Encodes:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return require_any(trained.system, (Codes, Encodes), "codes of images")


def run(flags: ReconstructFlags) -> None:
    """Reconstruct images and write them."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".png", ".npz"), folder=True)
    trained = load_model(flags)
    needed(trained)
    dataset = load_images(flags, trained)
    labels = labels_given(trained, dataset.labels, flags.label, len(dataset.x))
    originals = in_unit(dataset, trained.spec)
    images = trained.reconstruct(dataset.x, labels=labels, seed=flags.seed)
    draw = lambda path, num: save_reconstructions(path, originals[:num], images[:num])  # noqa: E731
    where = write_pictures(place, images, dataset.names, draw)
    error = float(np.mean(np.square(images - originals)))
    print(f"{len(images):,} reconstructions in {where}. Mean squared error: {error:.4g} per pixel value.")
