"""Comparison of representations by probes and clustering, with pixels and PCA as baselines."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxvae.applications.features import features_of
from jaxvae.data import to_unit
from jaxvae.evaluation import clustering_scores, knn_probe, linear_probe, mlp_probe
from jaxvae.runs.files import read_json, write_json, writing
from jaxvae.runs.fingerprint import fingerprint
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset, DataSpec, Splits

PROBES = {"linear": linear_probe, "knn": knn_probe, "mlp": mlp_probe}


def probe_features(name: str, features: Splits, seed: int, bar: Any) -> dict[str, Any]:
    """Return probe accuracies in %, the chosen settings, and clustering scores of some features.

    Args:
      name: of the features.
      features: [N, F] and labels.
      seed: of the network's weights and of the clusters' centres.
      bar: progress, moved on by one for each probe and the clustering.
    """
    row: dict[str, Any] = {"features": name, "dimensions": features.train.x.shape[1]}
    for probe, fit in PROBES.items():
        found = fit(features, seed) if fit is mlp_probe else fit(features)
        row |= {probe: round(100 * found.accuracy, 2), f"{probe}_setting": found.setting}
        bar.update()
    scores = clustering_scores(features.test.x, features.test.labels, seed)
    bar.update()
    return row | {f"clusters_{score}": round(value, 4) for score, value in scores.items()}


def pixel_features(splits: Splits, spec: DataSpec) -> Splits:
    """Return the pixels of images as features, [N, H W C] in [0, 1]."""
    unit = (np.asarray(to_unit(jnp.asarray(part.x), spec.num_values)) for part in splits)
    return Splits(*(Dataset(x.reshape(len(x), -1), part.labels) for x, part in zip(unit, splits, strict=True)))


def stored_features(folder: Path, trained: Trained, splits: Splits) -> Splits:
    """Load features from disk if they are of this model, else compute and store them.

    Args:
      folder: of the features, made here.
      trained: whose they are.
      splits: images.
    """
    mark = {"fingerprint": fingerprint(trained), "sizes": [len(part.x) for part in splits]}
    meta = folder / "features.json"
    if not (meta.exists() and read_json(meta) == mark):
        features = features_of(trained.system, trained.params, trained.model_state, splits)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            meta.unlink(missing_ok=True)  # if this is cut short, what lies there is of no model
            for part, dataset in features._asdict().items():
                np.save(folder / f"{part}.npy", dataset.x)
        write_json(meta, mark)
    parts = (np.load(folder / f"{part}.npy", mmap_mode="r") for part in Splits._fields)
    return Splits(*(Dataset(x, part.labels) for x, part in zip(parts, splits, strict=True)))
