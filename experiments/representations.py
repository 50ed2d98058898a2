"""Linear, k-NN and MLP probes on learned representations, with pixels and PCA as baselines.

Takes finished runs of autoencoders, VAEs and VQ-VAEs of the same images, writes the features of all images to disk, and
prints one table: the accuracies of logistic regression, k nearest neighbours and a small network on the features, and
the agreement of k-means clusters with the classes.
"""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxvae import data
from jaxvae.errors import UserError
from jaxvae.evaluation import principal_components
from jaxvae.evaluation.needs import check_probes
from jaxvae.progress import progress_bar
from jaxvae.reports.representations import PROBES, pixel_features, probe_features, stored_features
from jaxvae.reports.summary import with_earlier, write_summary
from jaxvae.runs.config import at_least, require
from jaxvae.runs.load import load_coders
from jaxvae.runs.options import Options, refuse
from jaxvae.runs.records import experiment_module, header
from jaxvae.runs.train import begin
from jaxvae.runs.trained import Trained
from jaxvae.studies.cli import main, run_folder
from jaxvae.studies.table import table
from jaxvae.training import distributed
from jaxvae.types import DataSpec, Splits


@dataclass(frozen=True)
class Config:
    """Configuration of the probes."""

    runs: tuple[str, ...] = ()
    """folders of finished runs"""
    data: str = "digits"
    """data source of these runs, with labels"""
    image_size: int | None = None
    """side in pixels to resize a folder's images to"""
    pca_dim: int = 50
    """principal components of the PCA baseline"""
    seed: int = 0
    """random seed of the MLP probe and of k-means"""

    def __post_init__(self) -> None:
        at_least(self, 1, "pca_dim")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, pca_dim=10)


def run(config: Config, options: Options) -> Path:
    """Encode all images with all runs, and fit the probes."""
    refuse(options, "a comparison of finished runs", "init_from")
    splits, spec = data.load(config.data, image_size=config.image_size)
    if any(part.labels is None for part in splits):
        raise UserError("Probes need labels, which these data do not have: choose another --data.")
    check_probes(splits)
    most = min(len(splits.train.x), math.prod(spec.shape))
    require("pca_dim", config.pca_dim, config.pca_dim <= most, f"at most {most}")
    models = load_coders(config.runs, spec)
    folder = run_folder("representations", options)
    record = {**header(experiment_module(run), spec, config), "num_train": len(splits.train.x)}
    begin(folder, record, options.resume, frozenset({"runs", "pca_dim"}))
    if distributed.is_primary():
        _probe(config, folder, splits, spec, models)
    return folder


# ---------- private


def _probe(config: Config, folder: Path, splits: Splits, spec: DataSpec, models: Mapping[str, Trained]) -> None:
    pixels = pixel_features(splits, spec)
    kinds: dict[str, Callable[[], Splits]] = {
        "pixels": lambda: pixels,
        f"PCA-{config.pca_dim}": lambda: principal_components(pixels, config.pca_dim),
    }
    for name, one in models.items():
        kinds[name] = functools.partial(stored_features, folder / "embeddings" / name, one, splits)
    rows: list[dict[str, Any]] = []
    with progress_bar(total=len(kinds) * (len(PROBES) + 1), unit="probe", desc="probes") as bar:
        for name, make in kinds.items():
            row = probe_features(name, make(), config.seed, bar)
            print(table([row]))
            rows = with_earlier(folder, "probes", [row], ("features",))
            write_summary(folder, {}, {"features": len(rows)}, probes=rows)
    print(table(rows))


if __name__ == "__main__":
    main(Config, None, __doc__, run=run)
