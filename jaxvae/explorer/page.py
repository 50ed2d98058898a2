"""The page: one HTML file with everything in it."""

import html
import json
import re
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jaxvae.explorer.contents import contents
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset, Likelihood

# Files of `page/` in the order in which they are put together, to one program and one style sheet.
SCRIPTS = (
    *("elementwise", "gaussian", "kernels", "products", "program", "model", "images", "store", "picture", "sliders"),
    *("plane", "tiles", "map", "map_input", "draw", "score", "between", "about", "main"),
)
STYLES = ("explorer", "layout")


def explorer_html(trained: Trained, dataset: Dataset | None = None, title: str | None = None) -> str:
    """Return a page in which a VAE is explored: one HTML file that needs no server and no network.

    It has sliders for the latents, a map of the codes of images, a canvas to draw on, the reconstruction and the score
    of what is drawn, and the path between two codes. The networks run in the browser, with the parameters in the page.

    Args:
      trained: a VAE with a Gaussian posterior, of images of one channel or three.
      dataset: images as the data set of the model has them, of which some are on the map; None leaves them out.
      title: of the page; by default what was trained and the name of the run.

    Returns:
      The text of the file.

    Raises:
      UserError: if the model is of another kind, or has an operation that the page has not.
    """
    found = {**contents(trained, dataset), **_names(trained), **({"title": title} if title else {})}
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


def _file(name: str) -> str:
    return files("jaxvae.explorer").joinpath("page", name).read_text(encoding="utf-8")


def _filled(template: str, **texts: str) -> str:
    """Put texts into their places @NAME@; what a text contains is left as it is."""
    return re.sub("@([A-Z]+)@", lambda place: texts[place[1]], template)


def _names(trained: Trained) -> dict[str, Any]:
    """What the page calls the model and its images."""
    experiment = str(trained.record.get("experiment", trained.system.name)).rpartition(".")[2]
    run = trained.folder.name if trained.folder else ""
    return {
        "title": " · ".join(name for name in (experiment, run) if name),
        "about": f"{trained.system.name}, likelihood {_likelihood(trained.system.parts.vae.likelihood)}",
    }


def _likelihood(likelihood: Likelihood) -> str:
    """The name of a likelihood, inside those that change its unit alone."""
    recipe = likelihood.recipe
    if recipe is None:
        return "of your own"
    inside = dict(recipe.arguments).get("likelihood")
    return _likelihood(inside) if isinstance(inside, Likelihood) else recipe.constructor.__name__
