"""Report of a classifier: error and, of generative classifiers, samples and analogies."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae import viz
from jaxvae.applications.classification import classify
from jaxvae.capabilities import Generates, TransfersStyle, find
from jaxvae.evaluation.statistics import mean_and_error
from jaxvae.reports.figures import NUM_SAMPLES, draw_samples, figures_of, sample_key, save_curves, shuffled
from jaxvae.reports.values import evaluated
from jaxvae.runs.trained import Trained
from jaxvae.types import Splits

NUM_ANALOGIES = 12


def evaluate_classifier(trained: Trained, splits: Splits) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the error of a classifier with the means of `evaluate`, and a function that draws its figures.

    Args:
      trained: the classifier.
      splits: its data, with labels.
    """
    values = {name: value for name, value in evaluated(trained, splits.test).items() if value.ndim == 1}
    metrics = {name: float(np.mean(value, dtype=np.float64)) for name, value in values.items() if name != "loss"}
    classes = classify(trained.system, trained.params, trained.model_state, splits.test).argmax(axis=1)
    metrics |= mean_and_error("error", classes != splits.test.labels)
    return metrics, lambda: draw_classifier(trained, splits)


def draw_classifier(trained: Trained, splits: Splits) -> None:
    """Draw training curves and, of generative classifiers, samples of every class and analogies."""
    save_curves(trained)
    num_classes, folder = trained.spec.num_classes, figures_of(trained)
    if find(trained.system, Generates) is not None:
        x = draw_samples(trained, num_classes * min(10, max(1, NUM_SAMPLES // num_classes))).x
        title = "Samples, one class per column"
        viz.save_grid(folder / "samples.png", x, columns=num_classes, title=title)
    transfers = find(trained.system, TransfersStyle)
    if transfers is not None:
        title = "Test images and their analogies in every class"
        rows = analogies(trained, transfers, splits)
        viz.save_grid(folder / "analogies.png", rows, columns=num_classes + 1, title=title)


def analogies(trained: Trained, transfers: TransfersStyle, splits: Splits) -> np.ndarray:
    """Return test images, each followed by its analogies in all classes, [N (1 + K), H, W, C] in [0, 1]."""
    shown = shuffled(trained, len(splits.test.x))[:NUM_ANALOGIES]
    noise, keys = jax.random.split(sample_key(trained), (2, len(shown)))
    x = trained.system.prepare(noise, jnp.asarray(splits.test.x[shown]))
    labels = jnp.asarray(splits.test.labels[shown])
    changed = jax.jit(transfers.analogies)(trained.params, trained.model_state, keys, x, labels)
    rows = np.concatenate([np.asarray(x)[:, None], np.clip(changed, 0, 1)], axis=1)
    return rows.reshape(-1, *x.shape[1:])
