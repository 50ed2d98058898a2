"""Report of an autoregressive model: exact likelihood, samples and completions."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae import viz
from jaxvae.applications.completion import complete
from jaxvae.applications.likelihood import log_likelihood
from jaxvae.applications.scoring import bits_per_nat
from jaxvae.capabilities import Completes, ScoresExactly, find, require
from jaxvae.evaluation.statistics import mean_and_error
from jaxvae.reports.figures import (
    NUM_SAMPLES,
    draw_samples,
    figures_of,
    sample_key,
    save_curves,
    save_samples,
    shuffled,
)
from jaxvae.reports.foreground import diagnose_foreground, foreground_metrics
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset, Samples, Splits

NUM_COMPLETED = 30


def evaluate_autoregressive(trained: Trained, splits: Splits) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the metrics of a model with an exact likelihood, and a function that draws its figures.

    Args:
      trained: the model.
      splits: its data.
    """
    nll = -log_likelihood(trained.system, trained.params, trained.model_state, splits.test).astype(np.float64)
    metrics: dict[str, Any] = dict(mean_and_error("nll", nll))
    if require(trained.system, ScoresExactly).discrete and len(trained.spec.shape) == 3:  # of images, not of codes
        metrics["bits_per_dim"] = float(np.mean(nll)) * bits_per_nat(trained.spec)
    samples = draw_samples(trained, NUM_SAMPLES)
    metrics |= foreground_metrics(np.asarray(samples.x), splits.train, trained.spec.num_values)
    if warning := diagnose_foreground(metrics):
        metrics["warning"] = warning
    return metrics, lambda: draw_autoregressive(trained, splits, samples)


def draw_autoregressive(trained: Trained, splits: Splits, samples: Samples) -> None:
    """Draw samples, completions of test images given their upper halves, and training curves."""
    save_samples(trained, samples, "Samples")
    if find(trained.system, Completes) is not None:
        x, completed = complete_upper_halves(trained, splits)
        title = "Test images and their completions given the upper halves"
        place = figures_of(trained) / "completions.png"
        viz.save_reconstructions(place, x, completed, title, ("original", "completion"))
    save_curves(trained)


def complete_upper_halves(trained: Trained, splits: Splits) -> tuple[np.ndarray, np.ndarray]:
    """Return some prepared test images and their completions given the upper halves, [N, H, W, C] in [0, 1]."""
    shown = shuffled(trained, len(splits.test.x))[:NUM_COMPLETED]
    noise = jax.random.split(sample_key(trained), len(shown))
    labels = None if splits.test.labels is None else splits.test.labels[shown]
    x = np.asarray(trained.system.prepare(noise, jnp.asarray(splits.test.x[shown])))
    lower = np.broadcast_to(np.arange(x.shape[1])[:, None] >= x.shape[1] // 2, x.shape[1:3])
    dataset = Dataset(x, labels)
    completed = complete(trained.system, trained.params, trained.model_state, dataset, lower, sample_key(trained), 1)
    return np.clip(x, 0, 1), completed[:, 0]
