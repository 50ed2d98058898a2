"""An attribute given to images and taken away: decoded codes that are moved along its direction."""

from pathlib import Path

import numpy as np

from jaxvae.applications.attributes import LEAST_ACCURACY
from jaxvae.capabilities import Encodes, require
from jaxvae.commands.given import labels_given, load_images, load_model
from jaxvae.commands.output import check_place
from jaxvae.commands.pictures import numbered, write_pictures
from jaxvae.commands.verb_flags import AttributeFlags
from jaxvae.data.attributes import attribute_of_class, read_attribute
from jaxvae.errors import whole_number
from jaxvae.runs.trained import Trained
from jaxvae.viz import save_rows

LONGEST = 16  # signs of an image's name in the picture


def needed(trained: Trained) -> Encodes:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return require(trained.system, Encodes)


def run(flags: AttributeFlags) -> None:
    """Find the direction of the attribute, move some images along it and write them."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".png", ".npz"), folder=True)
    num = whole_number("num", flags.num, least=1)
    trained = load_model(flags)
    needed(trained)
    dataset = load_images(flags, trained)
    if flags.attributes is None:
        has = attribute_of_class(dataset, flags.name, trained.spec.classes)
    else:
        has = read_attribute(flags.attributes, flags.name, list(map(str, dataset.names)))
    labels = labels_given(trained, dataset.labels, flags.label, len(dataset.x))
    found = trained.attribute(dataset.x, has, method=flags.method, labels=labels, seed=flags.seed)
    some = np.unique(np.linspace(0, len(dataset.x) - 1, num).astype(int))
    classes = None if labels is None else labels[some]
    rows = trained.move(dataset.x[some], found, flags.strengths, labels=classes, seed=flags.seed)
    names = [f"{name}/{number}" for name in dataset.names[some] for number in numbered(len(flags.strengths))]

    def draw(path: Path, num: int | None) -> None:
        del num  # rows are drawn whole
        ends = [str(dataset.names[i])[-LONGEST:] for i in some]
        titles = ends if len(set(ends)) == len(ends) else list(map(str, some))
        shown = {f"{'* ' * bool(has[i])}{title}": row for i, title, row in zip(some, titles, rows, strict=True)}
        strengths = ", ".join(f"{strength:g}" for strength in flags.strengths)
        save_rows(path, shown, f"{flags.name}: strengths {strengths}; * has it")

    where = write_pictures(place, rows.reshape(-1, *rows.shape[2:]), names, draw)
    print(
        f"{flags.name}: {found.num_with:,} images with it, {found.num_without:,} without; the direction tells "
        f"{100 * found.accuracy:.0f} % of them apart."
    )
    if found.accuracy < LEAST_ACCURACY:
        print("warning: that is little more than by chance, 50 %: the codes hardly say whether an image has it.")
    print(f"{len(rows)} images, {len(flags.strengths)} strengths each, in {where}.")
