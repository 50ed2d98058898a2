"""Report of a trained system: metrics of the test set, figures, and a printed summary."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxvae import capabilities
from jaxvae.capabilities import find
from jaxvae.errors import UserError
from jaxvae.reports.adversarial import evaluate_adversarial
from jaxvae.reports.autoencoder import evaluate_autoencoder
from jaxvae.reports.autoregressive import evaluate_autoregressive
from jaxvae.reports.classifier import evaluate_classifier
from jaxvae.reports.code_prior import evaluate_two_stages
from jaxvae.reports.completion import evaluate_completion
from jaxvae.reports.console import print_line, print_summary
from jaxvae.reports.flow_density import evaluate_flow_density, introduce_flow
from jaxvae.reports.introduction import Introduction, introduce_examples
from jaxvae.reports.overfitting import overfitting
from jaxvae.reports.report_page import write_report
from jaxvae.reports.summary import read_summary, write_summary
from jaxvae.reports.vae import DEFAULT_NLL_SAMPLES, evaluate_vae
from jaxvae.reports.values import validation_means
from jaxvae.reports.vqvae import evaluate_vqvae
from jaxvae.runs.folder import drawing
from jaxvae.runs.trained import Trained
from jaxvae.systems.adversarial_parts import HasDiscriminator
from jaxvae.systems.flow_density import FitsDensity
from jaxvae.systems.partial_vae import HasPartialPosterior
from jaxvae.systems.two_stages import HasStages
from jaxvae.types import Splits, System


class Evaluation(NamedTuple):
    """How a kind of system is evaluated and introduced."""

    # (trained, splits) -> numbers of the test set, and what draws the figures
    evaluate: Callable[[Trained, Splits], tuple[dict[str, Any], Callable[[], None]]]
    introduce: Callable[[Trained, Splits], Introduction] = introduce_examples  # (trained, splits)


TRAINING = (
    "steps",
    "best_step",
    "seconds",
    "cpu_seconds",
    "compile_seconds",
    "images_per_second",
    "skipped_steps",
    "layout",
)
# What a system is reported as: the first of its capabilities in this order.
EVALUATIONS: tuple[tuple[type, Evaluation], ...] = (
    (capabilities.Classifies, Evaluation(evaluate_classifier)),
    (HasStages, Evaluation(evaluate_two_stages)),
    (HasDiscriminator, Evaluation(evaluate_adversarial)),
    (capabilities.Codes, Evaluation(evaluate_vqvae)),
    (HasPartialPosterior, Evaluation(evaluate_completion)),
    (capabilities.Scores, Evaluation(evaluate_vae)),
    (capabilities.ScoresExactly, Evaluation(evaluate_autoregressive)),
    (capabilities.Encodes, Evaluation(evaluate_autoencoder)),
    (FitsDensity, Evaluation(evaluate_flow_density, introduce_flow)),
)


def report(
    trained: Trained, splits: Splits, *, evaluation: Evaluation | None = None, brief: bool = False
) -> dict[str, Any]:
    """Evaluate on the test set, write `summary.json` and draw the figures, unless all that was done for these steps.

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
    if trained.folder is None:
        raise UserError(
            "A model without a folder has no place for its report: train it with folder=..., or load a run."
        )
    chosen = evaluation or evaluation_of(trained.system)
    summary = read_summary(trained.folder)
    if not is_done(trained, summary):
        metrics, draw_figures = chosen.evaluate(trained, splits)
        training = trained.training or {name: summary[name] for name in TRAINING if name in summary}
        said = {"overfitting": text} if (text := overfitting(trained)) else {}
        write = functools.partial(write_summary, trained.folder, training, metrics, **said)
        valid = validation_means(trained, splits)
        summary = write(valid=valid)  # numbers are kept whatever becomes of the figures
        with drawing(trained.folder):
            draw_figures()
            summary = write(valid=valid, figures=_figures(trained.folder))
            write_report(trained.folder)
    print_line(trained, summary) if brief else print_summary(trained, summary, chosen.introduce(trained, splits))
    return summary


def is_done(trained: Trained, summary: Mapping[str, Any]) -> bool:
    """Whether a summary is of as many steps and importance samples, and all figures that it names are there."""
    if not trained.training or summary.get("steps") != trained.training["steps"]:
        return False
    assert trained.folder is not None
    figures = summary.get("figures")
    if not isinstance(figures, list) or any(name not in _figures(trained.folder) for name in figures):
        return False
    num_samples = summary.get("metrics", {}).get("nll_k")
    return num_samples in (None, trained.config.get("nll_samples", DEFAULT_NLL_SAMPLES))


def evaluation_of(system: System) -> Evaluation:
    """Return the evaluation of a system by its capabilities.

    Raises:
      UserError: if nothing of what it can do is.
    """
    for kind, evaluation in EVALUATIONS:
        if find(system, kind) is not None:
            return evaluation
    able = ", ".join(type(one).__name__ for one in system.use) or "nothing"
    raise UserError(f"{system.name} can do {able}, of which there is no report: give report(..., evaluation=...).")


# ---------- private


def _figures(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "figures").glob("*.png"))
