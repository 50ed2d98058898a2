"""Sharpness of samples and reconstructions relative to the data, and power spectra."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxvae import viz
from jaxvae.applications.coding import encode_as_codes
from jaxvae.applications.reconstruction import reconstruct
from jaxvae.evaluation import high_frequency_power, images, power_spectrum
from jaxvae.reports.figures import draw_samples, shuffled
from jaxvae.runs.files import writing
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset, Splits

NUM_IMAGES = 1_000  # of each kind, whose spectrum is measured
NUM_SHOWN = 16
FILE = "shown.npz"  # in a run's folder: the images that the figures of a comparison are made of


def measure_vae(vae: Trained, splits: Splits, metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return bits/dim and the sharpness of a VAE's images, and store these in its folder.

    Args:
      vae: whose images are the means of their pixels, drawn ones where there are none.
      splits: the data.
      metrics: of its report.
    """
    drawn = draw_samples(vae, NUM_IMAGES)
    found = reconstruct(vae.system, vae.params, vae.model_state, _some(vae, splits))
    samples = np.asarray(drawn.x if drawn.mean is None else drawn.mean)
    measured = _measured(vae, found.x, found.reconstructions, samples)
    if drawn.mean is not None:
        measured["sharpness_of_drawn_pixels"] = _sharpness(np.asarray(drawn.x), found.x)
    return {"bits_per_dim": -metrics["elbo"] / (math.log(2.0) * math.prod(vae.spec.shape)), **measured}


def measure_vqvae(prior: Trained, codec: Trained, splits: Splits) -> dict[str, float]:
    """Return the sharpness of the images of a VQ-VAE and its prior, and store these in the prior's folder."""
    model = codec.system, codec.params, codec.model_state
    x, _, reconstructions = encode_as_codes(*model, _some(codec, splits))
    return _measured(prior, x, reconstructions, np.asarray(draw_samples(prior, NUM_IMAGES).x))


def draw_sharpness(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Draw images of all models and their spectra.

    Args:
      folder: of the study, in which the runs are.
      rows: of the runs, with the fields `model` and `run`.
    """
    shown = {}
    for row in rows:
        with np.load(folder / row["run"] / FILE) as arrays:
            shown[row["model"]] = dict(arrays)
    if not shown:
        return
    x = next(iter(shown.values()))["x"]
    num = min(NUM_SHOWN, len(x))
    kinds = {"Reconstructions": "reconstructions", "Samples": "samples"}
    spectra = {title: {name: power_spectrum(of[kind]) for name, of in shown.items()} for title, kind in kinds.items()}
    viz.save_spectra(folder / "figures" / "spectra.png", power_spectrum(x), spectra)
    for title, kind in kinds.items():
        some = {"test images": x[:num], **{name: of[kind][:num] for name, of in shown.items()}}
        viz.save_rows(folder / "figures" / f"{kind}.png", some, f"Test images and {title.lower()}")


# ---------- private


def _some(trained: Trained, splits: Splits) -> Dataset:
    return Dataset(splits.test.x[shuffled(trained, len(splits.test.x))[:NUM_IMAGES]], None)


def _measured(trained: Trained, x: np.ndarray, reconstructions: np.ndarray, samples: np.ndarray) -> dict[str, float]:
    assert trained.folder is not None
    with writing(trained.folder):
        np.savez_compressed(trained.folder / FILE, x=x, reconstructions=reconstructions, samples=samples)
    return {
        "psnr": float(np.mean(images.psnr(jnp.asarray(x), jnp.asarray(reconstructions)))),
        "sharpness_of_reconstructions": _sharpness(reconstructions, x),
        "sharpness": _sharpness(samples, x),
    }


def _sharpness(x: np.ndarray, of: np.ndarray) -> float:
    return float(high_frequency_power(x) / high_frequency_power(of))
