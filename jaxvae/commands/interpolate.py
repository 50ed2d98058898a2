"""Images between two images: decoded points of a path between their codes."""

from pathlib import Path

import numpy as np

from jaxvae.capabilities import Encodes, require
from jaxvae.commands.given import labels_given, load_model, load_some
from jaxvae.commands.output import check_place
from jaxvae.commands.pictures import write_pictures
from jaxvae.commands.verb_flags import InterpolateFlags
from jaxvae.runs.trained import Trained
from jaxvae.viz import save_interpolations


def needed(trained: Trained) -> Encodes:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return require(trained.system, Encodes)


def run(flags: InterpolateFlags) -> None:
    """Decode points between two codes and write the images."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".png", ".npz"), folder=True)
    trained = load_model(flags)
    needed(trained)
    first, last = load_some(flags, trained, (flags.first, flags.last))
    labels = labels_given(trained, None, flags.label, 2)
    images = trained.interpolate(first, last, flags.num, path=flags.path, labels=labels, seed=flags.seed)
    title = f"From {Path(flags.first).name} to {Path(flags.last).name}"

    def draw(path: Path, num: int | None) -> None:
        del num  # a path is drawn whole
        save_interpolations(path, images[np.newaxis], title)

    print(f"{len(images):,} images in {write_pictures(place, images, None, draw)}.")
