"""Samples of several runs against the same real images: a row a run, medians of each kind, and figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae import viz
from jaxvae.reports.samples import Features, evaluate_samples, samples_of
from jaxvae.runs.state import state_of
from jaxvae.runs.trained import Trained

MEASURES = {  # of samples, in the order of the table -> whether more is better; None of what is best at 1
    "frechet_distance": False,
    "precision": True,
    "recall": True,
    "density": True,
    "coverage": True,
    "sharpness": None,
}
LIKELIHOODS = ("nll", "bits_per_dim")
OF_TRAINING = ("steps", "seconds", "cpu_seconds")
SHOWN = 12


def run_row(
    model: str,
    trained: Trained,
    features: Features,
    real: np.ndarray,
    *,
    num: int,
    means: bool | None,
    seed: int,
) -> tuple[dict[str, Any], np.ndarray]:
    """Return the numbers of one run, and some of its samples.

    Args:
      model: the kind of the run, for the table.
      trained: the run.
      features: as of `evaluate_samples`.
      real: the same.
      num: of samples.
      means: as of `samples_of`.
      seed: of the samples and the bootstrap.

    Returns:
      Its seed, steps and seconds, the measures with their intervals, and its likelihood if its report has one.
    """
    samples = samples_of(trained, num, means=means, seed=seed)
    found = evaluate_samples(features, samples, real, seed=seed)
    summary = {} if trained.folder is None else state_of(trained.folder).summary
    metrics: Mapping[str, Any] = summary.get("metrics", {})
    row = {
        "model": model,
        "run": "" if trained.folder is None else trained.folder.name,
        "seed": trained.config.get("seed"),
        **{name: summary[name] for name in OF_TRAINING if name in summary},
        **{name: metrics[name] for name in LIKELIHOODS if name in metrics},
        **found,
    }
    return row, samples[:SHOWN]


def medians(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the median of every measure over the runs of each model, and the worst one; all runs count.

    Args:
      rows: of `run_row`.
    """
    found = []
    for model in dict.fromkeys(row["model"] for row in rows):
        some = [row for row in rows if row["model"] == model]
        line: dict[str, Any] = {"model": model, "runs": len(some)}
        for name, more in MEASURES.items():
            values = np.array([row[name] for row in some], np.float64)
            line[name] = float(np.median(values))
            worst = values.min() if more else values.max() if more is False else values[np.argmax(np.abs(values - 1))]
            line[f"worst_{name}"] = float(worst)
        found.append(line)
    return found


def draw_comparison(
    folder: Path, rows: Sequence[Mapping[str, Any]], beside: Mapping[str, float], images: Mapping[str, np.ndarray]
) -> None:
    """Draw every measure of every run, and samples of the first run of each model below real images.

    Args:
      folder: of the figures.
      rows: of `run_row`.
      beside: the measures of other real images.
      images: by the name of the row of the picture.
    """
    names = list(dict.fromkeys(row["model"] for row in rows))
    values = {
        measure: {name: [row[measure] for row in rows if row["model"] == name] for name in names}
        for measure in MEASURES
    }
    viz.save_measures(folder / "measures.png", values, beside)
    num = min(map(len, images.values()))  # of few real images, as few samples
    rows_of_images = {name: x[:num] for name, x in images.items()}
    viz.save_rows(folder / "samples.png", rows_of_images, "Real images, and samples of the first run of each model")
