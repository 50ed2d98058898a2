"""Decode a file of codes, as encode writes it, to images."""

from dataclasses import dataclass
from pathlib import Path

from jaxvae.applications.encoding import code_shapes
from jaxvae.capabilities import Codes, Decodes, require_any
from jaxvae.commands.codes_file import read_codes
from jaxvae.commands.flags import ModelFlags, OutFlags, SeedFlags, positional
from jaxvae.commands.given import load_model
from jaxvae.commands.output import check_place
from jaxvae.commands.pictures import write_pictures
from jaxvae.runs.trained import Trained
from jaxvae.viz import save_grid


@dataclass(frozen=True, kw_only=True)
class Flags(ModelFlags, OutFlags, SeedFlags):
    """What is decoded."""

    codes: Path = positional("CODES")
    """NAME.csv, NAME.npz or NAME.npy, as encode writes them"""
    out: Path
    """a folder for a PNG file of every code; NAME.png for one picture of all; NAME.npz for arrays"""


def needed(trained: Trained) -> Codes | Decodes:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return require_any(trained.system, (Codes, Decodes), "codes of images that it decodes")


def run(flags: Flags) -> None:
    """Decode codes and write the images."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".png", ".npz"), folder=True)
    trained = load_model(flags)
    needed(trained)
    shapes = code_shapes(trained.system, trained.params, trained.model_state)
    table = read_codes(flags.codes.expanduser(), shapes)
    images = trained.decode(table.parts if len(table.parts) > 1 else table.parts[0], seed=flags.seed)
    where = write_pictures(place, images, table.names, lambda path, num: save_grid(path, images[:num]))
    print(f"{len(images):,} images in {where}.")
