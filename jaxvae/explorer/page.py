"""The page: one HTML file with everything in it."""

import html
import json
import re
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jaxvae.data.arrays import as_array, as_examples
from jaxvae.errors import UserError
from jaxvae.explorer.contents import contents
from jaxvae.explorer.parts import functions_of
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset

# Files of `page/` in the order in which they are put together, to one program and one style sheet.
SCRIPTS = (
    *("elementwise", "gaussian", "kernels", "products", "program", "model", "images", "store", "picture", "sliders"),
    *("plane", "tiles", "map", "map_input", "draw", "score", "between", "about", "main"),
)
STYLES = ("explorer", "layout")


def explore(trained: Trained, images: Any = None, labels: Any = None, *, title: str | None = None) -> str:
    """Return a page in which a VAE is explored: one HTML file that needs no server and no network.

    It has sliders for the latents, a map of the codes of images, a canvas to draw on, the reconstruction and the score
    of what is drawn, and the path between two codes. The networks run in the browser, with the parameters in the page.

    Args:
      trained: a VAE with a Gaussian posterior, of images of one channel or three.
      images: for the map, of which some are taken, [N, H, W] or [N, H, W, C] as methods of `Trained` take them; None
        leaves them out.
      labels: their classes [N], by which they are coloured, or None.
      title: of the page; by default what was trained and the name of the run.

    Returns:
      The text of the file, to be written as UTF-8.

    Raises:
      UserError: if the model is of another kind or has an operation that the page has not, or the images are not those
        that it knows.
    """
    functions = functions_of(trained.system)
    dataset = None if images is None else _dataset(trained, images, labels)
    found = {"title": title or _title(trained), **contents(trained, functions, dataset)}
    return _filled(
        _file("template.html"),
        TITLE=html.escape(found["title"]),
        VERSION=version("jaxvae"),
        STYLES="\n".join(_file(f"{name}.css") for name in STYLES),
        SCRIPTS="\n".join(_file(f"{name}.js") for name in SCRIPTS),
        # A `<` in a text could end the element that holds it.
        DATA=json.dumps(found, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    )


# ---------- private


def _dataset(trained: Trained, images: Any, labels: Any) -> Dataset:
    x = as_examples(images, trained.spec)
    classes = None if labels is None else as_array(labels, "labels")
    if classes is not None and classes.shape != (len(x),):
        raise UserError(f"The labels have shape {list(classes.shape)}, expected one for each of {len(x)} images.")
    if not len(x):
        raise UserError("There are no images: give at least one, or leave them out.")
    return Dataset(x, classes)


def _file(name: str) -> str:
    return files("jaxvae.explorer").joinpath("page", name).read_text(encoding="utf-8")


def _filled(template: str, **texts: str) -> str:
    """Put texts into their places @NAME@; what a text contains is left as it is."""
    return re.sub("@([A-Z]+)@", lambda place: texts[place[1]], template)


def _title(trained: Trained) -> str:
    """What was trained, and the name of the run."""
    experiment = str(trained.record.get("experiment", trained.system.name)).rpartition(".")[2]
    run = trained.folder.name if trained.folder else ""
    return " · ".join(name for name in (experiment, run) if name)
