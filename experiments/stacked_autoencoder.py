"""Greedy layer-wise pretraining of an autoencoder, against end-to-end training.

Every phase trains one more pair of layers to reconstruct the codes of the pairs below (Bengio et al. 2007), from
corrupted codes with `--noise` (Vincent et al. 2010); then all pairs are fine-tuned jointly. Every phase is a run of
`experiments.autoencoder`, the autoencoder of the pairs so far.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from experiments import autoencoder
from jaxvae import data, viz
from jaxvae.errors import UserError
from jaxvae.reports import report
from jaxvae.reports.summary import write_summary
from jaxvae.runs.config import at_least
from jaxvae.runs.files import read_records
from jaxvae.runs.folder import drawing
from jaxvae.runs.options import Options, refuse
from jaxvae.runs.records import experiment_module, header
from jaxvae.runs.train import begin, of_part, train
from jaxvae.runs.trained import Trained
from jaxvae.studies.cli import main, run_folder
from jaxvae.studies.table import table, totals
from jaxvae.systems.corruption import NoiseName
from jaxvae.training import distributed
from jaxvae.types import DataSpec, Splits

SHOWN = ("reconstruction", "mse", "psnr", "ssim")


@dataclass(frozen=True)
class Config(autoencoder.Config):
    """Configuration of the phases; `steps` are those of the joint training that follows them."""

    net: autoencoder.Net = "dense"
    hidden: tuple[int, ...] = (500, 250)
    activation: autoencoder.ActivationName = "sigmoid"
    noise: NoiseName = "masking"
    phase_steps: int = 2_000
    """training steps of every phase"""
    end_to_end: bool = True
    """also train the same autoencoder end to end, for as many steps in total"""
    steps: int = 2_000

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "phase_steps")
        if self.last_alone:
            raise UserError("--last-alone is what every phase does: leave it out.")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, hidden=(100,), latent_dim=16, phase_steps=150, steps=150, eval_every=50)


def stages(config: Config) -> dict[str, autoencoder.Config]:
    """Return the configurations of all trainings by the names of their folders, in order."""
    shared = {field.name: getattr(config, field.name) for field in fields(autoencoder.Config)}
    whole = autoencoder.Config(**shared)
    num = len(config.hidden) + bool(config.latent_dim)
    parts = {}
    for i in range(1, num + 1):
        top = config.latent_dim if i > len(config.hidden) else 0
        phase = replace(whole, hidden=config.hidden[:i], latent_dim=top, last_alone=i > 1, steps=config.phase_steps)
        parts[f"phase_{i}"] = phase if i == num else replace(phase, sparsity="none", contraction_weight=0.0)
    parts["together"] = whole
    if config.end_to_end:
        parts["end_to_end"] = replace(whole, steps=num * config.phase_steps + config.steps)
    return parts


def run(config: Config, options: Options) -> Path:
    """Train all stages, each from the parameters of the one before, and compare them in a table."""
    refuse(options, "several trainings one after another", "init_from")
    splits, spec = data.load(config.data, image_size=config.image_size)
    folder = run_folder("stacked_autoencoder", options)
    record = {**header(experiment_module(run), spec, config), "num_train": len(splits.train.x)}
    begin(folder, record, options.resume)
    trained = train_stages(config, splits, spec, folder, options)
    if distributed.is_primary():
        _compare(config, folder, splits, trained)
    return folder


def train_stages(config: Config, splits: Splits, spec: DataSpec, folder: Path, options: Options) -> dict[str, Trained]:
    """Train all stages in a run's folder, or what is missing of them."""
    trained: dict[str, Trained] = {}
    pretrained = None
    for name, chosen in stages(config).items():
        build = functools.partial(autoencoder.build, pretrained=None if name == "end_to_end" else pretrained)
        place = folder / name
        trained[name] = train(chosen, build, splits, spec, place, of_part(place, options))
        pretrained = trained[name].params
    return trained


# ---------- private


def _compare(config: Config, folder: Path, splits: Splits, trained: Mapping[str, Trained]) -> None:
    rows: list[dict[str, Any]] = []
    for name, one in trained.items():
        metrics = report(one, splits)["metrics"]
        row = {"stage": name, "steps": one.training["steps"], "seconds": one.training["seconds"]}
        rows.append(row | {key: round(metrics[key], 5) for key in SHOWN if key in metrics})
    print(table(rows))
    training = {"steps": config.steps, **totals(list(trained.values()), config.batch_size)}
    write_summary(folder, training, {"stages": len(rows)}, stages=rows)
    with drawing(folder):
        _draw(folder / "figures", trained)


def _draw(folder: Path, trained: Mapping[str, Trained]) -> None:
    """Draw the reconstruction error of validation images over all stages."""
    curves, before = {}, 0
    for name, one in trained.items():
        start = 0 if name == "end_to_end" else before
        assert one.folder is not None
        records = [record for record in read_records(one.folder) if record["part"] == "valid"]
        curves[name] = [start + record["step"] for record in records], [record["reconstruction"] for record in records]
        before += one.training["steps"]
    viz.save_stages(folder / "stages.png", curves, "reconstruction error of validation images")


if __name__ == "__main__":
    main(Config, None, __doc__, run=run)
