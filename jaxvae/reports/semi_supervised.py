"""Reports of semi-supervised learning: SVMs on the codes of an encoder, and errors against numbers of labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae import viz
from jaxvae.applications.features import features_of
from jaxvae.evaluation import knn_graph, label_spreading_svm_error, svm_error
from jaxvae.evaluation.statistics import standard_error_of_share
from jaxvae.reports.summary import write_summary
from jaxvae.runs.files import read_json
from jaxvae.runs.options import Options
from jaxvae.runs.train import begin, of_part
from jaxvae.runs.trained import Trained
from jaxvae.training import distributed
from jaxvae.types import Dataset, Splits


def report_support_vectors(
    encoder: Trained,
    splits: Splits,
    rows: Sequence[np.ndarray],
    records: Sequence[Mapping[str, Any]],
    folders: Sequence[Path],
    options: Options,
    *,
    spread: bool,
) -> list[dict[str, Any]]:
    """Fit an SVM to the codes of the labelled images of every draw, and write its test error.

    Args:
      encoder: whose codes they are.
      splits: the images.
      rows: of the labelled training images, for each draw.
      records: what `config.json` says of each.
      folders: of each.
      options: how it was started.
      spread: whether labels are first propagated to neighbouring codes (label spreading).

    Returns:
      The summaries.
    """
    for folder, record in zip(folders, records, strict=True):
        begin(folder, dict(record), of_part(folder, options).resume)
    if not distributed.is_primary():
        return [{} for _ in folders]
    summaries = []
    errors = support_vector_errors(encoder, splits, rows, spread=spread)
    for folder, error in zip(folders, errors, strict=True):
        stderr = standard_error_of_share(error, len(splits.test.x))
        metrics = {"error": error} if stderr is None else {"error": error, "error_stderr": stderr}
        summaries.append(write_summary(folder, {}, metrics))
        print(f"{folder}: test error {100 * error:.2f} %")
    return summaries


def support_vector_errors(encoder: Trained, splits: Splits, rows: Sequence[np.ndarray], *, spread: bool) -> list[float]:
    """Return the test error, 0 to 1, for each draw of the labels; arguments as `report_support_vectors`."""
    train, _, test = features_of(encoder.system, encoder.params, encoder.model_state, splits)
    if spread:
        graph = knn_graph(train.x)
        return [label_spreading_svm_error(train, known, graph, test) for known in rows]
    return [svm_error(Dataset(train.x[known], train.labels[known]), test) for known in rows]


def draw_errors(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw the test errors of methods against the number of labels, if a study has several.

    Args:
      folder: of the study.
      rows: of its runs, with the fields that are varied and their metrics.
    """
    config = read_json(folder / "config.json")["config"]
    errors: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        of_method = errors.setdefault(row.get("method", config["method"]), {})
        of_method.setdefault(row.get("labels", config["labels"]), []).append(100 * row["metrics"]["error"])
    sizes = sorted({size for found in errors.values() for size in found})
    if len(sizes) < 2:
        return
    several = any(len(draws) > 1 for found in errors.values() for draws in found.values())
    mean = lambda draws: np.mean(draws) if draws else np.nan  # noqa: E731
    deviation = lambda draws: np.std(draws, ddof=1) if len(draws) > 1 else np.nan  # noqa: E731
    curves, spreads = (
        {name: [function(found.get(size, [])) for size in sizes] for name, found in errors.items()}
        for function in (mean, deviation)
    )
    viz.save_learning_curve(
        folder / "figures" / "errors.png",
        sizes,
        curves,
        ylabel="test error [%]",
        title="Mean and standard deviation over draws" if several else "Test error and number of labels",
        xlabel="labelled training images",
        spreads=spreads if several else None,
    )
