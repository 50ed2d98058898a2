"""The contents of the page: the model as programs, some encoded images, and what they say of the latents."""

import base64
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.data import subset
from jaxvae.errors import UserError
from jaxvae.explorer.measures import SAMPLES, Measured, levels_of, measure
from jaxvae.explorer.parts import Functions, functions_of
from jaxvae.explorer.pictures import data_url, sheet
from jaxvae.explorer.weights import Weights, rounded
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset

POINTS = 500  # encoded images on the map
PICTURES = 120_000  # bytes of those that are shown, or a sixth of a byte a parameter where that is more
PRIOR_DRAWS = 300  # of a prior that the page cannot draw from


class Latents(NamedTuple):
    """Where the latents of a model lie."""

    mean: np.ndarray  # [D], in the middle of the sliders
    std: np.ndarray  # [D], the unit of the sliders
    draws: np.ndarray  # [N, D] of the prior; none of N(0, I), from which the page draws


def contents(trained: Trained, dataset: Dataset | None) -> dict[str, Any]:
    """Return what the page knows, as JSON has it.

    Args:
      trained: a VAE with a Gaussian posterior.
      dataset: images for the map, as the data set has them; None for a map without images.

    Returns:
      The model, its weights, and the images.

    Raises:
      UserError: if the model is another, or the images are not those that it knows.
    """
    system, spec = trained.system, trained.spec
    functions = functions_of(system)
    if len(spec.shape) != 3 or spec.shape[-1] not in (1, 3):
        raise UserError(f"The model is of images of shape {list(spec.shape)}: expected one channel, or three of colour.")
    params, levels, weights = rounded(trained.params), levels_of(system), Weights()
    programs = functions.programs(params, spec.shape)
    latents = _latents(functions, params)
    found: dict[str, Any] = {
        "shape": spec.shape,
        "levels": levels,
        "pixels": "black and white, grey is rounded" if levels == 2 else ("grey" if spec.shape[-1] == 1 else "colour"),
        "discrete": functions.vae.likelihood.discrete,
        "samples": SAMPLES,
        "num_params": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "programs": {name: weights.described(program) for name, program in programs.items()},
        "latents": {
            "mean": _numbers(latents.mean),
            "std": _numbers(latents.std),
            "draws": _packed(latents.draws),
            "activity": [],
        },
        "weights": weights.packed(),
        "images": None,
    }
    if dataset is not None:
        some = subset(dataset, min(POINTS, len(dataset.x)), 0)
        measured = measure(functions, system, params, some.x, levels)
        exact = measure(functions, system, trained.params, some.x, levels)
        found["latents"]["activity"] = _numbers(np.var(measured.stats.mean, axis=0))
        found["rounding"] = _differences(measured, exact)
        found["images"] = _images(measured, some.labels, spec.classes, found["num_params"])
    return found


# ---------- private


def _latents(functions: Functions, params: Any) -> Latents:
    dim = functions.vae.posterior.latent_dim
    if functions.has_standard_prior():
        return Latents(np.zeros(dim), np.ones(dim), np.zeros((0, dim)))
    keys = jax.random.split(jax.random.key(0), PRIOR_DRAWS)
    draws = np.asarray(functions.vae.apply({"params": params}, keys, method="prior_latents"))
    return Latents(draws.mean(axis=0), draws.std(axis=0), draws)


def _images(measured: Measured, labels: Any, classes: tuple[str, ...], num_params: int) -> dict[str, Any]:
    """The images on the map: codes of all, pictures of the first ones."""
    codes = measured.stats.mean
    file, columns, shown = _pictures(measured.x, max(PICTURES, num_params // 6))
    mean, axes = principal_axes(codes)
    present = [] if labels is None else sorted({int(label) for label in labels})
    return {
        "codes": _packed(codes),
        "labels": [] if labels is None else [present.index(int(label)) for label in labels],
        "classes": [classes[label] if label < len(classes) else str(label) for label in present],
        "elbo": _numbers(measured.elbo),
        "pictures": data_url(file),
        "columns": columns,
        "shown": shown,
        "mean": _numbers(mean),
        "axes": [_numbers(axis) for axis in axes],
    }


def principal_axes(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of codes [N, D] and the two directions in which they vary most, [2, D]; of one latent one."""
    mean = codes.mean(axis=0)
    _, _, axes = np.linalg.svd(codes - mean, full_matrices=False)
    axes = axes[:2]
    # The sign of an axis is free: its largest entry is positive, whatever computed it.
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1, keepdims=True), axis=1)
    return mean, axes * np.sign(largest)


def _pictures(x: np.ndarray, most: int) -> tuple[bytes, int, int]:
    """Pictures of as many images as fit into so many bytes, a dozen at least: the file, its columns, their number."""
    shown = len(x)
    while True:
        file, columns = sheet(x[:shown])
        if len(file) <= most or shown <= 12:
            return file, columns, shown
        shown = max(12, min(shown - 1, math.floor(0.95 * shown * most / len(file))))


def _differences(measured: Measured, exact: Measured) -> dict[str, float]:
    """How far rounded parameters move reconstructions, in parts of the range, and bounds, in nats."""
    pixels = np.abs(measured.reconstructions - exact.reconstructions)
    nats = np.abs(measured.elbo - exact.elbo)
    return {"largest": float(pixels.max()), "mean": float(pixels.mean()), "nats": float(nats.mean())}


def _numbers(array: np.ndarray) -> list[float]:
    return [round(float(number), 5) for number in array]


def _packed(array: np.ndarray) -> str:
    return base64.b64encode(np.asarray(array, "<f2").tobytes()).decode()
