"""Images between two images: decoded points of a path between their codes."""

import functools
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae import sampling
from jaxvae.applications.codes_given import given_vectors
from jaxvae.applications.encoding import code_shapes, decode
from jaxvae.applications.generation import whole_number
from jaxvae.applications.given_classes import needed_labels
from jaxvae.capabilities import Decodes, Encodes, GivenClasses, require
from jaxvae.errors import UserError
from jaxvae.labelled import Labelled
from jaxvae.types import Array, Dataset, ModelState, Params, PRNGKey, System

Path = Literal["slerp", "linear", "norm", "geodesic"]
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
    *,
    labels: Any = None,
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
        whose middle is shorter; `norm`, its directions with lengths between those of the ends; `geodesic`, the path
        along which the images change least, which takes some seconds.
      labels: classes of both images, of a model that is conditional on these, [2]; between two classes their shares
        change evenly.

    Returns:
      [num, H, W, C] in [0, 1].

    Raises:
      UserError: if the system has no vectors, as a VQ-VAE has none between two codes, or an argument makes no sense;
        for a geodesic between images that are drawn pixel by pixel, which have no derivative.
    """
    require(system, Encodes)
    decodes = require(system, Decodes)
    num = whole_number("num", num, least=2)
    if path not in get_args(Path):
        raise UserError(f"path is {path!r}, expected one of {', '.join(get_args(Path))}.")
    shapes = code_shapes(system, params, model_state)
    first, last = (given_vectors(np.asarray(code)[None], system.name, shapes[:1])[0] for code in (start, end))
    given = None if labels is None else class_shares(system, labels, num)
    if path == "geodesic":
        _check_has_means(system, params, model_state, decodes, first, given)
        points = _geodesic(decodes.decode, params, model_state, key, first, last, given, num)
    else:
        points = _points(path, first, last, num)
    return decode(system, params, model_state, np.asarray(points), key, labels=given, same_noise=True)


def labels_of_ends(system: System, labels: Any) -> tuple[Any, Any]:
    """Return the classes of the first and of the last image, None of a system that needs none.

    Args:
      system: that encodes images as vectors.
      labels: as of `interpolate`.

    Raises:
      UserError: if there are not two of them.
    """
    if labels is None:
        return None, None
    if np.shape(labels) != (2,):
        raise UserError(f"labels has shape {list(np.shape(labels))}, expected the classes of both images, [2].")
    first, last = labels
    return first, last


def class_shares(system: System, labels: Any, num: int) -> np.ndarray:
    """Return the shares of the classes in images from one class to another, [num, K].

    Args:
      system: that is conditional on classes.
      labels: of the first and of the last image, [2].
      num: images, both ends included.

    Raises:
      UserError: if the system knows no classes, or these are none of them.
    """
    num_classes = require(system, GivenClasses).num_classes
    first, last = np.eye(num_classes)[needed_labels(num_classes, Dataset(np.zeros(2), labels), system.name)]
    return np.linspace(first, last, num)


# ---------- private


def _check_has_means(
    system: System,
    params: Params,
    model_state: ModelState,
    decodes: Decodes,
    code: np.ndarray,
    shares: np.ndarray | None,
) -> None:
    """Raise a `UserError` where other keys give other images of a code."""
    keys = jax.random.split(jax.random.key(0))
    twice = _given(jnp.stack([code, code]), None if shares is None else shares[[0, 0]])
    one, other = decodes.decode(params, model_state, keys, twice)
    if (one != other).any():
        raise UserError(
            f"{system.name} draws the pixels of an image one given others, so that there is no geodesic: expected "
            "another path, or a model with independent pixels."
        )


@functools.partial(jax.jit, static_argnums=(0, 7))
def _geodesic(
    decode: Callable[..., Array],
    params: Params,
    model_state: ModelState,
    key: PRNGKey,
    start: Array,
    end: Array,
    shares: Array | None,
    num: int,
) -> Array:
    keys = jax.random.split(key, num)
    return sampling.geodesic(lambda z: decode(params, model_state, keys, _given(z, shares)), start, end, num)


def _given(z: Array, shares: Any) -> Any:
    """Latents, of a model that is conditional on classes with the shares of these."""
    return z if shares is None else Labelled(z, jnp.asarray(shares, jnp.float32))


@functools.partial(jax.jit, static_argnums=(0, 3))
def _points(path: Path, start: Array, end: Array, num: int) -> Array:
    return PATHS[path](start, end, num)
