"""Decode a file of codes, as encode writes it, to images."""

from jaxvae.applications.encoding import code_shapes
from jaxvae.capabilities import Codes, Decodes, require_any
from jaxvae.commands.codes_file import read_codes
from jaxvae.commands.given import labels_given, load_model
from jaxvae.commands.output import check_place
from jaxvae.commands.pictures import write_pictures
from jaxvae.commands.verb_flags import DecodeFlags
from jaxvae.runs.trained import Trained
from jaxvae.viz import save_grid


def needed(trained: Trained) -> Codes | Decodes:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return require_any(trained.system, (Codes, Decodes), "codes of images that it decodes")


def run(flags: DecodeFlags) -> None:
    """Decode codes and write the images."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".png", ".npz"), folder=True)
    trained = load_model(flags)
    needed(trained)
    shapes = code_shapes(trained.system, trained.params, trained.model_state)
    table = read_codes(flags.codes.expanduser(), shapes)
    labels = labels_given(trained, table.labels, flags.label, len(table.names))
    images = trained.decode(table.parts if len(table.parts) > 1 else table.parts[0], labels=labels, seed=flags.seed)
    where = write_pictures(place, images, table.names, lambda path, num: save_grid(path, images[:num]))
    print(f"{len(images):,} images in {where}.")
