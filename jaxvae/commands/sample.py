"""Draw new images."""

import numpy as np

from jaxvae.capabilities import Generates, require
from jaxvae.commands.given import label_of, load_model
from jaxvae.commands.output import check_place, ending, writing
from jaxvae.commands.pictures import columns_of, write_pictures
from jaxvae.commands.verb_flags import SampleFlags
from jaxvae.errors import UserError
from jaxvae.runs.trained import Trained
from jaxvae.viz import save_grid


def needed(trained: Trained) -> Generates:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return require(trained.system, Generates)


def run(flags: SampleFlags) -> None:
    """Draw images and write them."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".png", ".npz"), folder=True)
    trained = load_model(flags)
    needed(trained)
    label = label_of(trained, flags.label)
    temperature = flags.temperature[0] if len(flags.temperature) == 1 else flags.temperature
    images = trained.sample(flags.num, label=label, temperature=temperature, means=flags.means, seed=flags.seed)
    what = f"{len(images):,} {'means of samples' if flags.means else 'samples'} of {trained.system.name}"
    if images.ndim != 4:
        if ending(place) != ".npz":
            raise UserError(f"{trained.system.name} draws points [N, {images.shape[1]}], no images: write NAME.npz.")
        with writing(place) as path:
            np.savez_compressed(path, points=images)
        print(f"{what} in {place}.")
        return
    columns = columns_of(trained) if label is None else None
    where = write_pictures(place, images, None, lambda path, num: save_grid(path, images[:num], columns))
    print(f"{what} in {where}.")
