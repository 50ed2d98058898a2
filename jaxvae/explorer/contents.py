"""The contents of the page: the model as programs, some encoded images, and what they say of the latents."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.data import subset
from jaxvae.explorer.measures import SAMPLES, Measured, levels_of, measure
from jaxvae.explorer.parts import Functions
from jaxvae.explorer.points import map_images
from jaxvae.explorer.weights import Weights, in_digits, in_halves, rounded
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset

POINTS = 500  # encoded images on the map
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
    latents = _latents(functions, params)
    found: dict[str, Any] = {
        "about": f"{system.name}, likelihood {functions.likelihood_name()}",
        "shape": spec.shape,
        "levels": levels,
        "pixels": "black and white, grey is rounded" if levels == 2 else ("grey" if spec.shape[-1] == 1 else "colour"),
        "discrete": functions.vae.likelihood.discrete,
        "samples": SAMPLES,
        "num_params": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "programs": {name: weights.described(program) for name, program in programs.items()},
        "latents": {
            "mean": in_digits(latents.mean),
            "std": in_digits(latents.std),
            "draws": in_halves(latents.draws),
            "activity": [],
        },
        "weights": weights.packed(),
        "images": None,
    }
    if dataset is not None:
        some = subset(dataset, min(POINTS, len(dataset.x)), 0)
        measured = measure(functions, system, params, some.x, levels)
        exact = measure(functions, system, trained.params, some.x, levels)
        found["latents"]["activity"] = in_digits(np.var(measured.stats.mean, axis=0))
        found["rounding"] = _differences(measured, exact)
        found["images"] = map_images(measured, some.labels, spec.classes, found["num_params"])
    return found


# ---------- private


def _latents(functions: Functions, params: Any) -> Latents:
    dim = functions.vae.posterior.latent_dim
    if functions.has_standard_prior():
        return Latents(np.zeros(dim), np.ones(dim), np.zeros((0, dim)))
    keys = jax.random.split(jax.random.key(0), PRIOR_DRAWS)
    draws = np.asarray(functions.vae.apply({"params": params}, keys, method="prior_latents"))
    return Latents(draws.mean(axis=0), draws.std(axis=0), draws)


def _differences(measured: Measured, exact: Measured) -> dict[str, float]:
    """How far rounded parameters move reconstructions, in parts of the range, and bounds, in nats."""
    pixels = np.abs(measured.reconstructions - exact.reconstructions)
    nats = np.abs(measured.elbo - exact.elbo)
    return {"largest": float(pixels.max()), "mean": float(pixels.mean()), "nats": float(nats.mean())}
