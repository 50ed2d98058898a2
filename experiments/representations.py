"""What the codes of trained models are worth: the same probes and clusterings for all, beside pixels and PCA.

Takes finished runs of autoencoders, VAEs and VQ-VAEs of the same images, writes the features of all images to disk, and
prints one table: a logistic regression, nearest neighbours and a small network on the features, and how k-means agrees
with the classes.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.common.folder import progress_bar, read_json, run_record, write_json, writing
from experiments.common.inspection import features_of
from experiments.common.loading import fingerprint, load_coders
from experiments.common.report import with_earlier, write_summary
from experiments.common.sweep import table
from experiments.common.training import begin
from experiments.run import Finished, Options, at_least, main, refuse, require, run_folder
from jaxvae import data
from jaxvae.errors import UserError
from jaxvae.evaluation import clustering_scores, knn_probe, linear_probe, mlp_probe, principal_components
from jaxvae.training import distributed
from jaxvae.types import Dataset, DataSpec, Splits

PROBES = {"linear": linear_probe, "knn": knn_probe, "mlp": mlp_probe}


@dataclass(frozen=True)
class Config:
    """What shapes a run."""

    runs: tuple[str, ...] = ()
    """folders of finished runs"""
    data: str = "digits"
    """their images, with labels"""
    image_size: int | None = None
    """resize a folder's images to this height and width"""
    pca_dim: int = 50
    """principal components beside the runs"""
    seed: int = 0
    """of the network's weights and of the clusters' centres"""

    def __post_init__(self) -> None:
        at_least(self, 1, "pca_dim")

    def quick(self) -> "Config":
        """Return a copy that ends sooner."""
        return replace(self, pca_dim=10)


def run(config: Config, options: Options) -> Path:
    """Encode all images by all runs, and fit the probes."""
    refuse(options, "a comparison of finished runs", "sweep", "init_from")
    splits, spec = data.load(config.data, image_size=config.image_size)
    if any(part.labels is None for part in splits):
        raise UserError("Probes need labels, which these data do not have: choose another --data.")
    most = min(len(splits.train.x), math.prod(spec.shape))
    require("pca_dim", config.pca_dim, config.pca_dim <= most, f"at most {most}")
    finished = load_coders(config.runs, spec)
    folder = run_folder("representations", options)
    record = run_record("representations", config, spec, len(splits.train.x))
    begin(folder, record, options.resume, frozenset({"runs", "pca_dim"}))
    if distributed.is_primary():
        _judge(config, folder, splits, spec, finished)
    return folder


# ---------- private


def _judge(config: Config, folder: Path, splits: Splits, spec: DataSpec, finished: dict[str, Finished]) -> None:
    unit = (np.asarray(data.to_unit(jnp.asarray(part.x), spec.num_values)) for part in splits)
    pixels = Splits(*(Dataset(x.reshape(len(x), -1), part.labels) for x, part in zip(unit, splits, strict=True)))
    kinds: dict[str, Callable[[], Splits]] = {
        "pixels": lambda: pixels,
        f"PCA-{config.pca_dim}": lambda: principal_components(pixels, config.pca_dim),
    }
    for name, one in finished.items():
        kinds[name] = functools.partial(_on_disk, folder / "embeddings" / name, one, splits)
    bar = progress_bar(total=len(kinds) * (len(PROBES) + 1), unit="probe")
    rows: list[dict[str, Any]] = []
    for name, make in kinds.items():
        row = _row(name, make(), config.seed, bar)
        print(table([row]))
        rows = with_earlier(folder, "probes", [row], ("features",))
        write_summary(folder, "representations", {}, {"features": len(rows)}, probes=rows)
    if bar is not None:
        bar.close()
    print(table(rows))


def _row(name: str, features: Splits, seed: int, bar: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"features": name, "dimensions": features.train.x.shape[1]}
    for probe, fit in PROBES.items():
        found = fit(features, seed) if fit is mlp_probe else fit(features)
        row |= {probe: round(100 * found.accuracy, 2), f"{probe}_setting": found.setting}
        if bar is not None:
            bar.update()
    scores = clustering_scores(features.test.x, features.test.labels, seed)
    if bar is not None:
        bar.update()
    return row | {f"clusters_{score}": round(value, 4) for score, value in scores.items()}


def _on_disk(folder: Path, finished: Finished, splits: Splits) -> Splits:
    """Return features from disk, where they are those of this model, or write them there."""
    mark = {"fingerprint": fingerprint(finished), "sizes": [len(part.x) for part in splits]}
    meta = folder / "features.json"
    if not (meta.exists() and read_json(meta) == mark):
        features = features_of(finished, splits)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            meta.unlink(missing_ok=True)  # if this is cut short, what lies there is of no model
            for part, dataset in features._asdict().items():
                np.save(folder / f"{part}.npy", dataset.x)
        write_json(meta, mark)
    parts = (np.load(folder / f"{part}.npy", mmap_mode="r") for part in Splits._fields)
    return Splits(*(Dataset(x, part.labels) for x, part in zip(parts, splits, strict=True)))


if __name__ == "__main__":
    main(Config, run, __doc__)
