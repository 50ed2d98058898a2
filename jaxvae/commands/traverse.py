"""What each latent does: images in which one of them goes through its range and the others are held."""

from pathlib import Path

from jaxvae.applications.encoding import code_shapes
from jaxvae.applications.traversal import check_has_range, most_varied
from jaxvae.capabilities import Encodes, require
from jaxvae.commands.given import labels_given, load_model, load_some
from jaxvae.commands.output import check_place
from jaxvae.commands.pictures import numbered, write_pictures
from jaxvae.commands.verb_flags import TraverseFlags
from jaxvae.runs.trained import Trained
from jaxvae.viz import save_rows

MOST = 16  # latents that are shown where none are asked for


def needed(trained: Trained) -> Encodes:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    able = require(trained.system, Encodes)
    check_has_range(trained.system, trained.latents)
    return able


def run(flags: TraverseFlags) -> None:
    """Decode the codes of every row and write the images."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".png", ".npz"), folder=True)
    trained = load_model(flags)
    needed(trained)
    image = None if flags.image is None else load_some(flags, trained, (flags.image,))[0]
    num_latents = code_shapes(trained.system, trained.params, trained.model_state)[0][0]
    dims = flags.dims or tuple(map(int, most_varied(trained.latents, num_latents)[:MOST]))
    classes = labels_given(trained, None, flags.label, 1)
    label = None if classes is None else int(classes[0])
    rows = trained.traverse(image, dims=dims, num=flags.num, label=label, seed=flags.seed)
    width = len(str(num_latents - 1))
    names = [f"z{dim:0{width}}/{number}" for dim in dims for number in numbered(flags.num)]

    def draw(path: Path, num: int | None) -> None:
        del num  # rows are drawn whole
        save_rows(path, {f"z{dim}": row for dim, row in zip(dims, rows, strict=True)})

    where = write_pictures(place, rows.reshape(-1, *rows.shape[2:]), names, draw)
    print(f"{len(dims)} of {num_latents} latents, {flags.num} images each, in {where}.")
