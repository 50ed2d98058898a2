"""Images between two images: decoded points of a path between their codes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from jaxvae.capabilities import Encodes, require
from jaxvae.commands.flags import ModelFlags, OutFlags, SeedFlags, SomeImageFlags, positional
from jaxvae.commands.given import load_model, load_some
from jaxvae.commands.output import check_place
from jaxvae.commands.pictures import write_pictures
from jaxvae.runs.trained import Trained
from jaxvae.viz import save_interpolations


@dataclass(frozen=True, kw_only=True)
class Flags(ModelFlags, SomeImageFlags, OutFlags, SeedFlags):
    """Between which images."""

    first: str = positional("A")
    """an image file, or with --data the number of an image of it, from 0"""
    last: str = positional("B")
    """the same"""
    out: Path
    """a folder for a PNG file each; NAME.png for one picture of all; NAME.npz for arrays"""
    num: int = 9
    """images, the reconstructions of both included"""
    path: Literal["slerp", "linear", "norm"] = "slerp"
    """slerp is an arc, linear the straight line, norm its directions with lengths between those of the ends"""


def needed(trained: Trained) -> Encodes:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return require(trained.system, Encodes)


def run(flags: Flags) -> None:
    """Decode points between two codes and write the images."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".png", ".npz"), folder=True)
    trained = load_model(flags)
    needed(trained)
    first, last = load_some(flags, trained, (flags.first, flags.last))
    images = trained.interpolate(first, last, flags.num, path=flags.path, seed=flags.seed)
    title = f"From {Path(flags.first).name} to {Path(flags.last).name}"

    def draw(path: Path, num: int | None) -> None:
        del num  # a path is drawn whole
        save_interpolations(path, images[np.newaxis], title)

    print(f"{len(images):,} images in {write_pictures(place, images, None, draw)}.")
