"""Write a page to play with a VAE: one HTML file in which it runs, without a server and without a network."""

import sys

from jaxvae.commands.flags import ImageFlags
from jaxvae.commands.given import load_images, load_model
from jaxvae.commands.output import check_place, writing
from jaxvae.commands.verb_flags import ExploreFlags
from jaxvae.errors import UserError
from jaxvae.explorer import explore
from jaxvae.explorer.parts import Functions, functions_of
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset


def needed(trained: Trained) -> Functions:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return functions_of(trained.system)


def run(flags: ExploreFlags) -> None:
    """Write the page."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".html",), folder=False)
    trained = load_model(flags)
    needed(trained)  # before images are read for a model that cannot be explored
    dataset = _images(flags, trained)
    x, labels = (None, None) if dataset is None else (dataset.x, dataset.labels)
    title = None if trained.folder else flags.run.expanduser().resolve().stem
    page = explore(trained, x, labels, title=title).encode()
    with writing(place) as path:
        path.write_bytes(page)
    print(f"{trained.system.name} in {place}, {len(page) / 1e6:.1f} MB: open it in a browser.")


# ---------- private


def _images(flags: ExploreFlags, trained: Trained) -> Dataset | None:
    """The images that are asked for; of a training, those that are still there."""
    if flags.data is not None:
        return load_images(ImageFlags(data=flags.data, part=flags.part, resize=flags.resize), trained)
    source = trained.config.get("data")
    if not isinstance(source, str):
        print("note: the page has no map of images: give --data SOURCE for one.", file=sys.stderr)
        return None
    try:
        # They were brought to the size of the model then, too.
        return load_images(ImageFlags(data=source, part=flags.part or "test", resize=True), trained)
    except UserError as error:
        print(f"note: the page has no map of images. {error} Give --data SOURCE for one.", file=sys.stderr)
        return None
