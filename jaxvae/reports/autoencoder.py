"""Report of an autoencoder: reconstructions, codes and first-layer filters."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxvae import viz
from jaxvae.applications.reconstruction import Reconstructed, reconstruct
from jaxvae.evaluation import reconstruction_metrics
from jaxvae.reports.figures import figures_of, save_codes, save_curves
from jaxvae.reports.values import evaluated
from jaxvae.runs.trained import Trained
from jaxvae.types import Splits

NUM_FILTERS = 100


def evaluate_autoencoder(trained: Trained, splits: Splits) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the metrics of an autoencoder on uncorrupted test images, and a function that draws its figures.

    Args:
      trained: the autoencoder.
      splits: its data.
    """
    found = reconstruct(trained.system, trained.params, trained.model_state, splits.test)
    nats = evaluated(trained, splits.test).get("reconstruction")
    metrics = {
        **({} if nats is None else {"reconstruction": float(np.mean(nats, dtype=np.float64))}),
        **reconstruction_metrics(found.x, found.reconstructions),
        "latent_dim": found.means[0].shape[1],
    }
    return metrics, lambda: draw_autoencoder(trained, splits, found)


def draw_autoencoder(trained: Trained, splits: Splits, found: Reconstructed) -> None:
    """Draw reconstructions, codes, first-layer filters and training curves."""
    save_codes(trained, splits, found, "Codes of test images")
    if "pairs_0" in trained.params:
        title = "First-layer filters, largest norm first; grey is 0"
        viz.save_grid(figures_of(trained) / "filters.png", filters(trained), title=title)
    save_curves(trained)


def filters(trained: Trained) -> np.ndarray:
    """Return the first-layer filters of largest norm as images [N, H, W, C] in [0, 1], 0 being grey."""
    kernel = np.asarray(trained.params["pairs_0"]["kernel"])
    shape = kernel.shape[:-1] if kernel.ndim == 4 else trained.spec.shape
    images = np.moveaxis(kernel, -1, 0).reshape(-1, *shape)
    largest = np.argsort(-np.sum(np.square(images), axis=(1, 2, 3)))[:NUM_FILTERS]
    scale = np.max(np.abs(images[largest]), axis=(1, 2, 3), keepdims=True)
    return 0.5 + 0.5 * images[largest] / np.maximum(scale, 1e-12)
