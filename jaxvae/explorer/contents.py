"""The contents of the page: the model as programs, some encoded images, and what they say of the latents."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.data import subset
from jaxvae.explorer.measures import Measured, levels_of, measure
from jaxvae.explorer.parts import Functions
from jaxvae.explorer.points import map_images
from jaxvae.explorer.weights import Weights, in_digits, in_halves, rounded
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset

POINTS = 500  # encoded images on the map
SAMPLES_OF_ONE = 64  # of q(z | x), for the bound of the image of the page
DRAWN = 64  # images on which the rounding is measured where none are given
PRIOR_DRAWS = 300  # of a prior that the page cannot draw from


class Latents(NamedTuple):
    """Where the latents of a model lie."""

    mean: np.ndarray  # [D], in the middle of the sliders
    std: np.ndarray  # [D], the unit of the sliders
    draws: np.ndarray  # [N, D] of the prior; none of N(0, I), from which the page draws


def contents(trained: Trained, functions: Functions, dataset: Dataset | None) -> dict[str, Any]:
    """Return what the page knows, as JSON has it.

    Args:
      trained: a VAE with a Gaussian posterior.
      functions: of the system.
      dataset: images for the map, as the data set has them; None for a map without images.

    Returns:
      The model, its weights, and the images.

    Raises:
      UserError: if the model has an operation that the page has not.
    """
    system, spec = trained.system, trained.spec
    params, levels, weights = rounded(trained.params), levels_of(system), Weights()
    programs = functions.programs(params, spec.shape)
    latents, statistics = _latents(functions, params), trained.latents
    if dataset is None:
        some = Dataset(_drawn(functions, params), None)
    else:
        some = subset(dataset, min(POINTS, len(dataset.x)), 0)
    measured = measure(functions, system, params, some.x, levels)
    activity = statistics.std[0] ** 2 if statistics else np.var(measured.stats.mean, axis=0)
    num_params = sum(leaf.size for leaf in jax.tree.leaves(params))
    return {
        "about": f"{system.name}, likelihood {functions.likelihood_name()}",
        "shape": spec.shape,
        "levels": levels,
        "pixels": "black and white, grey is rounded" if levels == 2 else ("grey" if spec.shape[-1] == 1 else "colour"),
        "discrete": functions.vae.likelihood.discrete,
        "samples": SAMPLES_OF_ONE,
        "num_params": num_params,
        "programs": {name: weights.described(program) for name, program in programs.items()},
        "weights": weights.packed(),
        "latents": {
            "mean": in_digits(latents.mean),
            "std": in_digits(latents.std),
            "draws": in_halves(latents.draws),
            "activity": in_digits(activity) if statistics or (dataset is not None and len(some.x) > 1) else [],
        },
        "rounding": {
            "images": "the images of the map" if dataset is not None else "images drawn from the model",
            **_differences(measured, measure(functions, system, trained.params, some.x, levels)),
        },
        "images": map_images(measured, some.labels, spec.classes, num_params) if dataset is not None else None,
    }


# ---------- private


def _latents(functions: Functions, params: Any) -> Latents:
    dim = functions.vae.posterior.latent_dim
    if functions.has_standard_prior():
        return Latents(np.zeros(dim), np.ones(dim), np.zeros((0, dim)))
    keys = jax.random.split(jax.random.key(0), PRIOR_DRAWS)
    draws = np.asarray(functions.vae.apply({"params": params}, keys, method="prior_latents"))
    return Latents(draws.mean(axis=0), draws.std(axis=0), draws)


def _drawn(functions: Functions, params: Any) -> np.ndarray:
    """Means of images for latents of the prior, for a model that is given no images."""
    z = functions.vae.apply({"params": params}, jax.random.split(jax.random.key(0), DRAWN), method="prior_latents")
    means = jax.jit(jax.vmap(lambda z: functions.mean(functions.decode(params, z))))(z)
    return np.clip(np.asarray(means, np.float32), 0, 1)


def _differences(measured: Measured, exact: Measured) -> dict[str, float]:
    """How far rounded parameters move reconstructions, in parts of the range, and bounds, in nats."""
    pixels = np.abs(measured.reconstructions - exact.reconstructions)
    nats = np.abs(measured.elbo - exact.elbo)
    return {"largest": float(pixels.max()), "mean": float(pixels.mean()), "nats": float(nats.mean())}
