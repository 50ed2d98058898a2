"""Report of a VAE with an encoder of masked images: its numbers as a VAE, and log p(unknown | known) by quadrants."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxvae import viz
from jaxvae.applications.completion import complete, log_unknown
from jaxvae.applications.prepared import prepared_images
from jaxvae.data.masks import named_mask
from jaxvae.evaluation.nearest import neighbours_log_prob
from jaxvae.evaluation.statistics import mean_and_error
from jaxvae.reports.figures import figures_of, sample_key, shuffled
from jaxvae.reports.vae import DEFAULT_NLL_SAMPLES, evaluate_vae
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset, Splits

QUADRANTS = {1: "all-but-bottom-left", 2: "right-half", 3: "bottom-right"}  # that are known, and what is not
MOST_IMAGES = 2_000  # of the test set
NEIGHBOURS = (3, 10, 30, 100)  # of which validation images choose
SHOWN, COMPLETIONS, GREY = 10, 2, 0.5  # images and completions of the figure, and unknown pixels in it


def evaluate_completion(trained: Trained, splits: Splits) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the metrics of the model, and a function that draws its figures.

    Args:
      trained: the model, of binarised images.
      splits: its data.
    """
    metrics, draw_vae = evaluate_vae(trained, splits)
    rows = shuffled(trained, len(splits.test.x))[:MOST_IMAGES]
    test, num_samples = Dataset(splits.test.x[rows], None), trained.config.get("nll_samples", DEFAULT_NLL_SAMPLES)
    images, valid, train = (prepared_images(*_model(trained), part) for part in (test, splits.valid, splits.train))
    # Of bits: what is binarised at random would be others than the neighbours' otherwise.
    bits = Dataset(images, None)
    for num, name in QUADRANTS.items():
        mask = named_mask(name, *trained.spec.shape[:2])
        nats = -log_unknown(*_model(trained), bits, mask, num_samples=num_samples)
        metrics |= mean_and_error(f"nll_given_{num}_quadrants", nats)
        floor = floor_of(images, valid[:MOST_IMAGES], train, mask)
        metrics |= mean_and_error(f"neighbours_given_{num}_quadrants", floor)

    def draw() -> None:
        draw_vae()
        draw_completions(trained, bits.x[:SHOWN])

    return {**metrics, "completion_images": len(images), "completion_k": num_samples}, draw


def floor_of(x: np.ndarray, valid: np.ndarray, train: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Return -log p of unknown pixels by the nearest training images, as many as suit validation images best, [N]."""
    nums = [num for num in NEIGHBOURS if num <= len(train)] or [1]
    best = int(np.argmax(np.mean(neighbours_log_prob(valid, unknown, train, nums), axis=1)))
    return -neighbours_log_prob(x, unknown, train, nums[best : best + 1])[0]


def draw_completions(trained: Trained, x: np.ndarray) -> None:
    """Draw images, what is known of them, and completions, for each number of quadrants that are known."""
    rows = {"image": x}
    for num, name in QUADRANTS.items():
        mask = named_mask(name, *trained.spec.shape[:2])
        found = complete(*_model(trained), Dataset(x, None), mask, sample_key(trained), COMPLETIONS)
        rows[f"{num} known"] = np.where(mask[None, ..., None], np.float32(GREY), x)
        rows |= {f"{num} {chr(ord('a') + i)}": found[:, i] for i in range(COMPLETIONS)}
    viz.save_rows(figures_of(trained) / "quadrants.png", rows, "Completions given 1, 2 and 3 quadrants")


# ---------- private


def _model(trained: Trained) -> tuple[Any, Any, jax.Array]:
    return trained.system, trained.params, trained.model_state
