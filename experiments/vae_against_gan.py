"""VAEs against GANs, and any other generative models: samples of finished runs, measured against the same real images.

Takes runs and studies of any experiments on the same data, several seeds each, trained for equal seconds: a row a run,
all of them shown, medians and the worst seed of each kind. Frechet distance, precision and recall, density and coverage
are in the features of a classifier, or principal components of pixels; sharpness is the power at high frequencies over
that of real images; other real images stand beside. Likelihoods are those of the runs' reports, of which GANs have
none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxvae import data
from jaxvae.capabilities import Generates, require
from jaxvae.data import to_unit
from jaxvae.errors import UserError
from jaxvae.reports.sample_comparison import SHOWN, draw_comparison, medians, run_row
from jaxvae.reports.samples import MOST_IMAGES, evaluate_samples, features_for
from jaxvae.reports.summary import write_summary
from jaxvae.runs.config import at_least
from jaxvae.runs.load import load
from jaxvae.runs.options import Options, refuse
from jaxvae.runs.pretrained import model_at
from jaxvae.runs.records import experiment_module, header
from jaxvae.runs.state import members
from jaxvae.runs.train import begin
from jaxvae.runs.trained import Trained
from jaxvae.studies.cli import main, run_folder
from jaxvae.studies.table import table
from jaxvae.training import distributed
from jaxvae.types import Splits


@dataclass(frozen=True)
class Config:
    """Configuration of the comparison."""

    runs: tuple[str, ...] = ()
    """folders of finished runs of one data source; a study stands for all its runs"""
    num_samples: int = MOST_IMAGES
    """samples of every run, and as many training images beside"""
    drawn: bool = False
    """compare draws of the pixels, not their means, of models that have means"""
    classifier: str | None = None
    """a run of experiments.classifier on such images; by default the shipped one of the same data, if there is one"""
    seed: int = 0
    """random seed of samples and intervals"""

    def __post_init__(self) -> None:
        at_least(self, 10, "num_samples")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, num_samples=500)


def run(config: Config, options: Options) -> Path:
    """Measure the samples of all runs."""
    refuse(options, "a comparison of finished runs", "init_from")
    models = _loaded(config)
    first = next(iter(models.values()))[0]
    splits, spec = data.load(str(first.config.get("data")), image_size=first.config.get("image_size"))
    folder = run_folder("vae_against_gan", options)
    begin(folder, header(experiment_module(run), spec, config), options.resume, frozenset({"runs"}))
    if distributed.is_primary():
        _compare(config, folder, models, splits)
    return folder


# ---------- private


def _loaded(config: Config) -> dict[str, list[Trained]]:
    """The runs by the name of their experiment, of a study by that of its folder."""
    if not config.runs:
        raise UserError("There is nothing to compare: pass --runs RUN ..., folders of finished runs or studies.")
    found: dict[str, list[Trained]] = {}
    for place in map(model_at, config.runs):
        inner = members(place)
        name = place.resolve().parent.name if inner == [place] else f"{place.resolve().parent.name}, {place.name}"
        found.setdefault(name, []).extend(load(one) for one in inner)
    every = [one for some in found.values() for one in some]
    for one in every:
        require(one.system, Generates)
        if one.data_hash is None or one.data_hash != every[0].data_hash:
            raise UserError(
                f"--runs are of different data, {every[0].config.get('data')} and {one.config.get('data')}: expected "
                "runs on the same images."
            )
    return found


def _compare(config: Config, folder: Path, models: Mapping[str, list[Trained]], splits: Splits) -> None:
    first = next(iter(models.values()))[0]
    real = _in_unit(splits.test.x, MOST_IMAGES, first)
    others = _in_unit(splits.train.x, min(config.num_samples, MOST_IMAGES), first)
    features = features_for(first, splits.train, config.classifier)
    options: dict[str, Any] = {"num": config.num_samples, "means": False if config.drawn else None, "seed": config.seed}
    rows, shown = [], {"real images": real[:: max(1, len(real) // SHOWN)][:SHOWN]}
    for model, runs in models.items():
        for trained in runs:
            row, samples = run_row(model, trained, features, real, **options)
            rows.append(row)
            shown.setdefault(model, samples)
            print(f"{trained.folder}: coverage {row['coverage']:.3f}, Frechet distance {row['frechet_distance']:.4g}")
    beside = evaluate_samples(features, others, real, seed=config.seed)
    found = medians(rows)
    numbers = {"features": features.name, "medians": found, "runs": rows, "training_images": beside}
    write_summary(folder, {}, {"models": len(models)}, **numbers)
    draw_comparison(folder / "figures", rows, beside, shown)
    of_images = medians([{"model": "training images", **beside}])
    print(f"\nIn {features.name}, medians over runs and the worst one:\n\n{table([*found, *of_images])}\n")
    print(f"Figures:  {folder}/figures/")
    print(f"Numbers:  {folder}/summary.json")


def _in_unit(x: Any, most: int, trained: Trained) -> np.ndarray:
    rows = np.linspace(0, len(x) - 1, min(len(x), most)).round().astype(int)
    return np.asarray(to_unit(jnp.asarray(x[rows]), trained.spec.num_values))


if __name__ == "__main__":
    main(Config, None, __doc__, run=run)
