"""What each latent does: images in which one of them goes through its range and the others are held."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae import sampling
from jaxvae.applications.codes_given import given_vectors
from jaxvae.applications.encoding import code_shapes, decode
from jaxvae.applications.generation import whole_number
from jaxvae.applications.latents import LatentStatistics
from jaxvae.capabilities import Decodes, Encodes, HasPrior, find, require
from jaxvae.errors import UserError
from jaxvae.types import Array, ModelState, Params, PRNGKey, System

LOWEST, HIGHEST = 0.05, 0.95  # probabilities of the ends of a latent's range


class Traversal(NamedTuple):
    """Images in which single latents change."""

    dims: np.ndarray  # which latents, [T]
    values: np.ndarray  # what they become, [T, num]
    images: np.ndarray  # [T, num, H, W, C] in [0, 1]


def traverse(
    system: System,
    params: Params,
    model_state: ModelState,
    key: PRNGKey,
    code: Any = None,
    *,
    dims: Sequence[int] | None = None,
    num: int = 9,
    statistics: LatentStatistics | None = None,
    label: int | None = None,
) -> Traversal:
    """Decode codes in which one latent goes from the 5 % to the 95 % quantile of the prior, and all others are held.

    The quantiles are of equally spaced probabilities. Systems without a prior, as autoencoders, have those of a
    Gaussian with mean and standard deviation of the codes of the training images.

    Args:
      system: one that encodes images as vectors and decodes these.
      params: its parameters.
      model_state: its state.
      key: of the draws where pixels depend on each other, the same for all images.
      code: at which the others are held, [D]; by default the mean code of the training images, or the prior's median
        where no statistics are given.
      dims: which latents; by default all, those whose codes vary most over the training images first.
      num: values of each.
      statistics: of the codes of the training images.
      label: class of all images, of a model that is conditional on classes.

    Returns:
      The images.

    Raises:
      UserError: if the system has no vectors, or nothing that says their range, or an argument makes no sense.
    """
    require(system, Encodes)
    require(system, Decodes)
    num = whole_number("num", num)
    shapes = code_shapes(system, params, model_state)[:1]
    median = np.full(1, 0.5)
    probabilities = np.linspace(LOWEST, HIGHEST, num) if num > 1 else median
    values = quantiles(system, params, model_state, probabilities, statistics)
    if code is None and statistics is None:
        held = quantiles(system, params, model_state, median)[0]
    else:
        given = statistics.mean[0] if code is None and statistics else code
        held = given_vectors(np.asarray(given)[None], system.name, shapes)[0]
    chosen = most_varied(statistics, len(held)) if dims is None else _checked(dims, len(held))
    codes = [sampling.traversal(jnp.asarray(held), int(dim), values[:, dim]) for dim in chosen]
    labels = None if label is None else np.full(len(codes) * num, label)
    decoded = decode(system, params, model_state, np.concatenate(codes), key, labels=labels, same_noise=True)
    return Traversal(chosen, values.T[chosen], decoded.reshape(len(chosen), num, *decoded.shape[1:]))


def quantiles(
    system: System,
    params: Params,
    model_state: ModelState,
    probabilities: np.ndarray,
    statistics: LatentStatistics | None = None,
) -> np.ndarray:
    """Return the quantiles of every latent that is decoded: of the prior, else of a Gaussian of the statistics.

    Args:
      system: with a prior of latents, or of which there are statistics.
      params: its parameters.
      model_state: its state.
      probabilities: [P], in (0, 1).
      statistics: of the codes of the training images.

    Returns:
      [P, D].

    Raises:
      UserError: if there is neither.
    """
    prior = find(system, HasPrior)
    if prior is not None:
        return np.asarray(_quantiles(prior.quantiles, params, model_state, jnp.asarray(probabilities)))
    check_has_range(system, statistics)
    assert statistics is not None
    return statistics.mean[0] + statistics.std[0] * np.asarray(jax.scipy.stats.norm.ppf(probabilities))[:, None]


def check_has_range(system: System, statistics: LatentStatistics | None) -> None:
    """Raise a `UserError` unless a system has a prior of latents, or there are statistics of its codes.

    Args:
      system: that encodes images as vectors.
      statistics: of the codes of the training images.
    """
    if find(system, HasPrior) is None and statistics is None:
        raise UserError(
            f"{system.name} has no prior, and was saved without the statistics of its codes, which say their range: "
            "train it again, or resume its run, with this version."
        )


def most_varied(statistics: LatentStatistics | None, dim: int) -> np.ndarray:
    """Return all dimensions of the latent that is decoded, [D], those whose codes vary most over the images first.

    Args:
      statistics: of the codes of the training images; without, the order is 0, 1, 2, ....
      dim: D.
    """
    return np.arange(dim) if statistics is None else np.argsort(-statistics.std[0], kind="stable")


# ---------- private


@functools.partial(jax.jit, static_argnums=0)
def _quantiles(function: Callable[..., Array], params: Params, model_state: ModelState, probabilities: Array) -> Array:
    return function(params, model_state, probabilities)


def _checked(dims: Any, dim: int) -> np.ndarray:
    chosen = np.atleast_1d(np.asarray(dims))
    if chosen.ndim != 1 or not len(chosen) or chosen.dtype.kind not in "ui":
        raise UserError(f"dims is {dims}, expected whole numbers from 0 to {dim - 1}.")
    if chosen.min() < 0 or chosen.max() >= dim:
        raise UserError(f"dims is {chosen.tolist()}, the latents are numbered from 0 to {dim - 1}.")
    return chosen
