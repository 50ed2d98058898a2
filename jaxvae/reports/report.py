"""The report of a finished training: numbers of the test part, figures, and a summary on the console."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxvae import capabilities
from jaxvae.capabilities import find
from jaxvae.errors import UserError
from jaxvae.reports.autoencoder import evaluate_autoencoder
from jaxvae.reports.autoregressive import evaluate_autoregressive
from jaxvae.reports.classifier import evaluate_classifier
from jaxvae.reports.console import print_line, print_summary
from jaxvae.reports.flow_density import evaluate_flow_density
from jaxvae.reports.summary import read_summary, write_summary
from jaxvae.reports.vae import evaluate_vae
from jaxvae.reports.vqvae import evaluate_vqvae
from jaxvae.runs.folder import drawing
from jaxvae.runs.trained import Trained
from jaxvae.systems.flow_density import FitsDensity
from jaxvae.training import evaluation_batch_size, make_evaluator
from jaxvae.types import Splits, System

# (trained, splits, what `evaluate` gives of every test image) -> numbers, and what draws the figures
Evaluation = Callable[[Trained, Splits, dict[str, np.ndarray]], tuple[dict[str, Any], Callable[[], None]]]

# What a system is evaluated as: the first of its capabilities in this order.
EVALUATIONS: tuple[tuple[type, Evaluation], ...] = (
    (capabilities.Classifies, evaluate_classifier),
    (capabilities.Codes, evaluate_vqvae),
    (capabilities.Scores, evaluate_vae),
    (capabilities.ScoresExactly, evaluate_autoregressive),
    (capabilities.Encodes, evaluate_autoencoder),
    (FitsDensity, evaluate_flow_density),
)


def report(
    trained: Trained, splits: Splits, *, evaluation: Evaluation | None = None, brief: bool = False
) -> dict[str, Any]:
    """Evaluate on the test part, unless that was done for these steps, write `summary.json` and draw the figures.

    Args:
      trained: a finished run with a folder.
      splits: its data.
      evaluation: how; by default by what the system can do.
      brief: whether one line is printed, as of a run of a study, instead of the summary.

    Returns:
      The summary.

    Raises:
      UserError: if nothing of what the system can do is evaluated.
    """
    assert trained.folder is not None
    before = read_summary(trained.folder)
    done = (before.get("steps"), before.get("metrics", {}).get("nll_k"))
    if done == (trained.training["steps"], trained.config.get("nll_samples")):  # an exact likelihood has no samples
        print_line(trained, before) if brief else print_summary(trained, before, splits)
        return before
    size = evaluation_batch_size(trained.spec)
    evaluate = make_evaluator(trained.system, min(size, len(splits.test.x)))
    per_image = evaluate(trained.params, trained.model_state, splits.test)
    metrics, draw_figures = (evaluation or evaluation_of(trained.system))(trained, splits, per_image)
    summary = write_summary(trained.folder, trained.training, metrics, valid=validation_means(trained, splits))
    with drawing(trained.folder):
        draw_figures()
    print_line(trained, summary) if brief else print_summary(trained, summary, splits)
    return summary


def evaluation_of(system: System) -> Evaluation:
    """Return how a system is evaluated.

    Raises:
      UserError: if nothing of what it can do is.
    """
    for kind, evaluation in EVALUATIONS:
        if find(system, kind) is not None:
            return evaluation
    able = ", ".join(type(one).__name__ for one in system.use) or "nothing"
    raise UserError(f"{system.name} can do {able}, of which there is no report: give report(..., evaluation=...).")


def validation_means(trained: Trained, splits: Splits) -> dict[str, float]:
    """Return the means of what `evaluate` gives of the validation images, by which runs are compared."""
    size = min(evaluation_batch_size(trained.spec), len(splits.valid.x))
    values = make_evaluator(trained.system, size)(trained.params, trained.model_state, splits.valid)
    return {name: float(np.mean(value)) for name, value in values.items() if value.ndim == 1}
