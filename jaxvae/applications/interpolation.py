"""Images between two images: decoded points of a path between their codes."""

import functools
from typing import Any, Literal

import jax
import numpy as np

from jaxvae import sampling
from jaxvae.applications.codes_given import given_vectors
from jaxvae.applications.encoding import code_shapes, decode
from jaxvae.applications.generation import whole_number
from jaxvae.capabilities import Decodes, Encodes, require
from jaxvae.errors import UserError
from jaxvae.types import Array, ModelState, Params, PRNGKey, System

Path = Literal["slerp", "linear", "norm"]
PATHS = {"slerp": sampling.spherical, "linear": sampling.linear, "norm": sampling.normed}


def interpolate(
    system: System,
    params: Params,
    model_state: ModelState,
    key: PRNGKey,
    start: Any,
    end: Any,
    num: int = 9,
    path: Path = "slerp",
) -> np.ndarray:
    """Decode a path between two codes.

    Args:
      system: one that encodes images as vectors and decodes these.
      params: its parameters.
      model_state: its state.
      key: of the draws where pixels depend on each other, the same for all points.
      start: code of the first image, [D].
      end: code of the last, [D].
      num: images, both ends included.
      path: `slerp`, an arc, which keeps the length that codes of a Gaussian prior have; `linear`, the straight line,
        whose middle is shorter; `norm`, its directions with lengths between those of the ends.

    Returns:
      [num, H, W, C] in [0, 1].

    Raises:
      UserError: if the system has no vectors, as a VQ-VAE has none between two codes, or an argument makes no sense.
    """
    require(system, Encodes)
    require(system, Decodes)
    num = whole_number("num", num, least=2)
    if path not in PATHS:
        raise UserError(f"path is {path!r}, expected one of {', '.join(PATHS)}.")
    shapes = code_shapes(system, params, model_state)
    first, last = (given_vectors(np.asarray(code)[None], system.name, shapes[:1])[0] for code in (start, end))
    points = _points(path, first, last, num)
    return decode(system, params, model_state, np.asarray(points), key, same_noise=True)


# ---------- private


@functools.partial(jax.jit, static_argnums=(0, 3))
def _points(path: Path, start: Array, end: Array, num: int) -> Array:
    return PATHS[path](start, end, num)
