"""Directions in the space of codes along which an attribute of images appears, and images moved along them."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from jaxvae.applications.codes_given import given_vectors
from jaxvae.applications.encoding import code_shapes, decode
from jaxvae.capabilities import Decodes, Encodes, require
from jaxvae.errors import UserError
from jaxvae.evaluation.needs import check_finite, sklearn_module
from jaxvae.types import ModelState, Params, PRNGKey, System

Method = Literal["means", "classifier"]
LEAST_ACCURACY = 0.6  # of a direction, on average over both kinds of images, below which it hardly tells anything


class Attribute(NamedTuple):
    """What tells images with an attribute from those without it."""

    direction: np.ndarray  # [D], from one kind to the other: a strength of 1 goes as far as their means are apart
    accuracy: float  # share of the images that lie on their side of the middle, mean of both kinds
    num_with: int  # images that have it
    num_without: int  # images that do not


def find_attribute(codes: Any, has: Any, method: Method = "means") -> Attribute:
    """Return the direction of an attribute.

    Args:
      codes: of images, [N, D].
      has: whether each image has it, [N] booleans.
      method: `means`, from the mean code of the images without it to that of those with it; `classifier`, the normal of
        a logistic regression, which leaves out what comes with the attribute and does not tell it, of such a length
        that the means are as far apart along it.

    Returns:
      The direction, and how well it tells the images that it was found on.

    Raises:
      UserError: if all or none of the images have it, the arguments make no sense, or scikit-learn is not installed.

    References:
      Larsen et al., "Autoencoding beyond Pixels Using a Learned Similarity Metric", 2016, arXiv:1512.09300, sec. 4.2:
      differences of means.
      Shen et al., "Interpreting the Latent Space of GANs for Semantic Face Editing", 2020, arXiv:1907.10786: normals.
    """
    z, given = np.asarray(codes, np.float64), np.asarray(has)
    if method not in get_args(Method):
        raise UserError(f"method is {method!r}, expected one of {', '.join(get_args(Method))}.")
    if z.ndim != 2 or given.shape != (len(z),) or given.dtype != bool:
        raise UserError(
            f"The codes are of shape {list(z.shape)} and the attribute is {given.dtype} of {list(given.shape)}: "
            "expected [N, D] and booleans [N], one for each image."
        )
    if given.all() or not given.any():
        raise UserError(
            f"{'All' if given.all() else 'None'} of the {len(given)} images have the attribute: expected some with it "
            "and some without."
        )
    check_finite("An attribute", z)
    apart = z[given].mean(axis=0) - z[~given].mean(axis=0)
    direction = apart if method == "means" else _normal(z, given, apart)
    along = z @ direction
    middle = 0.5 * (along[given].mean() + along[~given].mean())
    accuracy = 0.5 * (np.mean(along[given] > middle) + np.mean(along[~given] <= middle))
    return Attribute(direction.astype(np.float32), float(accuracy), int(given.sum()), int((~given).sum()))


def move_along(
    system: System,
    params: Params,
    model_state: ModelState,
    key: PRNGKey,
    codes: Any,
    direction: Any,
    strengths: Sequence[float] = (-2, -1, 0, 1, 2),
    *,
    labels: np.ndarray | None = None,
) -> np.ndarray:
    """Decode codes that are moved along a direction.

    Args:
      system: one that encodes images as vectors and decodes these.
      params: its parameters.
      model_state: its state.
      key: of the draws where pixels depend on each other, the same for all images.
      codes: of N images, [N, D].
      direction: of an attribute, [D].
      strengths: multiples of the direction, S of them; 0 is the reconstruction.
      labels: classes of the images, [N], where the model is conditional on these.

    Returns:
      [N, S, H, W, C] in [0, 1].

    Raises:
      UserError: if the system has no vectors, or an argument makes no sense.
    """
    require(system, Encodes)
    require(system, Decodes)
    shapes = code_shapes(system, params, model_state)[:1]
    z, step = given_vectors(codes, system.name, shapes), given_vectors(np.asarray(direction)[None], system.name, shapes)
    factors = np.atleast_1d(np.asarray(strengths, np.float32))
    if factors.ndim != 1 or not len(factors) or not np.isfinite(factors).all():
        raise UserError(f"strengths is {strengths}, expected finite numbers, one at least.")
    moved = z[:, None] + factors[:, None] * step  # [N, S, D]
    given = None if labels is None else np.repeat(labels, len(factors))
    images = decode(system, params, model_state, moved.reshape(-1, z.shape[1]), key, labels=given, same_noise=True)
    return images.reshape(len(z), len(factors), *images.shape[1:])


# ---------- private


def _normal(z: np.ndarray, has: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """The normal of a logistic regression of standardised codes, in the unit of the codes."""
    scale = np.maximum(z.std(axis=0), 1e-8)
    linear = sklearn_module("linear_model", "Classifiers of attributes")
    fitted = linear.LogisticRegression(max_iter=1_000, class_weight="balanced").fit((z - z.mean(axis=0)) / scale, has)
    normal = fitted.coef_[0] / scale
    unit = normal / max(np.linalg.norm(normal), 1e-12)
    return (unit @ apart) * unit
