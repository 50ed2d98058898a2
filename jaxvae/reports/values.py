"""Values of every example of a data set, by a system's `evaluate` or its capabilities."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from jaxvae.capabilities import Codes, require
from jaxvae.runs.trained import Trained
from jaxvae.training import evaluation_batch_size, in_batches, make_evaluator
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, Splits


def evaluated(trained: Trained, dataset: Dataset) -> dict[str, np.ndarray]:
    """Return what `evaluate` gives of every example, [N, ...] by name; of these names only `loss` is in any system."""
    evaluate = make_evaluator(trained.system, _batch_size(trained, dataset.x))
    return evaluate(trained.params, trained.model_state, dataset)


def validation_means(trained: Trained, splits: Splits) -> dict[str, float]:
    """Return the validation metrics, means of `evaluate`, by which runs are compared."""
    values = evaluated(trained, splits.valid)
    return {name: float(np.mean(value)) for name, value in values.items() if value.ndim == 1}


def negative_log_px(trained: Trained, x: np.ndarray) -> np.ndarray:
    """Return -log p(x | codes of x) of prepared images of a system with codes, [N] nats."""
    log_px = require(trained.system, Codes).log_px

    def one(start: int, batch: Batch) -> Array:
        return _log_px(log_px, trained.params, trained.model_state, batch.x)

    return -in_batches(one, Dataset(x, None), _batch_size(trained, x)).astype(np.float64)


# ---------- private


def _batch_size(trained: Trained, x: np.ndarray) -> int:
    return min(evaluation_batch_size(trained.spec), len(x))


@functools.partial(jax.jit, static_argnums=0)
def _log_px(log_px: Callable, params: Params, model_state: ModelState, x: Array) -> Array:
    return log_px(params, model_state, x)
