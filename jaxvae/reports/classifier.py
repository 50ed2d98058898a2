"""The report of a classifier: its error and, of a model of images and classes, samples and analogies."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae import viz
from jaxvae.capabilities import Generates, TransfersStyle, find
from jaxvae.reports.figures import NUM_SAMPLES, draw_samples, figures_of, sample_key, save_curves, shuffled
from jaxvae.runs.trained import Trained
from jaxvae.types import Splits

NUM_ANALOGIES = 12


def evaluate_classifier(
    trained: Trained, splits: Splits, per_image: Mapping[str, np.ndarray]
) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the error of a classifier, and the bound where it models images, and what draws its figures.

    Args:
      trained: the classifier.
      splits: its data.
      per_image: what `evaluate` gives of the test images.
    """
    metrics = {name: float(np.mean(value, dtype=np.float64)) for name, value in per_image.items() if name != "loss"}
    metrics["error_stderr"] = float(np.std(per_image["error"]) / np.sqrt(len(per_image["error"])))
    return metrics, lambda: draw_classifier(trained, splits)


def draw_classifier(trained: Trained, splits: Splits) -> None:
    """Draw the curves of a classifier, samples of every class and analogies, as far as it has them."""
    save_curves(trained)
    num_classes, folder = trained.spec.num_classes, figures_of(trained)
    if find(trained.system, Generates) is not None:
        x = draw_samples(trained, num_classes * min(10, max(1, NUM_SAMPLES // num_classes))).x
        title = "Styles drawn for every class, a column each"
        viz.save_grid(folder / "samples.png", x, columns=num_classes, title=title)
    transfers = find(trained.system, TransfersStyle)
    if transfers is not None:
        title = "Test images, and their styles in every class"
        rows = analogies(trained, transfers, splits)
        viz.save_grid(folder / "analogies.png", rows, columns=num_classes + 1, title=title)


def analogies(trained: Trained, transfers: TransfersStyle, splits: Splits) -> np.ndarray:
    """Return test images, each followed by its style in all classes, [N (1 + K), H, W, C] in [0, 1]."""
    shown = shuffled(trained, len(splits.test.x))[:NUM_ANALOGIES]
    noise, keys = jax.random.split(sample_key(trained), (2, len(shown)))
    x = trained.system.prepare(noise, jnp.asarray(splits.test.x[shown]))
    labels = jnp.asarray(splits.test.labels[shown])
    changed = jax.jit(transfers.analogies)(trained.params, trained.model_state, keys, x, labels)
    rows = np.concatenate([np.asarray(x)[:, None], np.clip(changed, 0, 1)], axis=1)
    return rows.reshape(-1, *x.shape[1:])
