"""Anomaly detection by VAEs: one class against the rest, data against data, flips, contaminated training images.

`--protocol one_class` trains a model of every class, all of them as one program, and asks each which test images are of
its class. `other_data` asks a model of --data to tell its test images from those of `--other SOURCE`; `flip` from their
own mirror images. `contamination` is one_class with a share of the images of every class replaced by others, for each
of --shares. Every score stands in one table beside floors that need no model; the score named `default` is that of
`python -m jaxvae anomaly`, the same in all rows and fitted to normal images alone.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import flax.linen as nn

from jaxvae import data, likelihoods
from jaxvae.errors import UserError
from jaxvae.evaluation.protocols import Protocol, flips, one_class, other_data, with_validation
from jaxvae.runs.config import OneGroupConfig, at_least, require
from jaxvae.runs.folder import FREE_FIELDS
from jaxvae.runs.options import Options, refuse
from jaxvae.runs.records import experiment_module, header
from jaxvae.runs.train import begin, refuse_layouts
from jaxvae.studies.cli import main, run_folder
from jaxvae.studies.detection import run_protocol
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.bounds import warmed_bound
from jaxvae.systems.networks import gaussian_vae
from jaxvae.systems.pixels import pixels_of, unit_pixels
from jaxvae.systems.refit import with_refitted_prior
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import cosine_optimizer
from jaxvae.types import DataSpec, Splits, System

WITH_CLASSES = ("one_class", "contamination")
# What a resumed run may change: other rows are added to its table, by models that it has already where it has them.
OF_TABLE = frozenset({"protocol", "other", "seeds", "shares", "regret"})


@dataclass(frozen=True)
class ModelConfig(OneGroupConfig):
    """Configuration of one VAE."""

    likelihood: Literal["bernoulli", "logistic_mixture"] = "bernoulli"
    """pixel distribution: bernoulli, of grey values as probabilities (the cross-entropy), or logistic_mixture, of 8-bit
    values"""
    num_components: int = 1
    """logistics in the mixture of every pixel"""
    prior: Literal["realnvp", "normal"] = "normal"
    """prior p(z): N(0, I), or a normalizing flow that is learned with the rest"""
    mixture: int = 0
    """components of a mixture of Gaussians that is fitted to the latents when the training has ended; 0 for none"""
    nll_samples: int = 50
    """importance samples of log p(x), which some scores are made of"""
    steps: int = 3_000

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "num_components")


@dataclass(frozen=True)
class Config(ModelConfig):
    """Configuration of a protocol of anomaly detection."""

    protocol: Literal["one_class", "other_data", "flip", "contamination"] = "one_class"
    """which test images are anomalies, see above"""
    other: str | None = None
    """data source whose test images are the anomalies of other_data"""
    seeds: tuple[int, ...] = (0, 1, 2)
    """random seeds of trainings: every model is trained with each"""
    shares: tuple[float, ...] = (0.0, 0.01, 0.05, 0.1)
    """shares of contamination, of the training and validation images of a class that are of other classes"""
    regret: bool = False
    """whether likelihood regret is among the scores, which takes a hundred times as long"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require("seed", self.seed, self.seed == 0, "none, but those of the trainings, --seeds")
        sound = all(0 <= seed < 2**32 for seed in self.seeds) and 0 < len(set(self.seeds)) == len(self.seeds)
        require("seeds", self.seeds, sound, "different whole numbers of at least 0")
        sound = all(0 <= share < 1 for share in self.shares) and 0 < len(set(self.shares)) == len(self.shares)
        require("shares", self.shares, sound, "different numbers from 0 to below 1")
        used = self.other is None or self.protocol == "other_data"
        require("other", self.other, used, "none, but with --protocol other_data")
        mirrored = self.flip and self.protocol == "flip"
        require("flip", self.flip, not mirrored, "no training on mirrored images, the anomalies of --protocol flip")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, seeds=(0,), shares=(0.0, 0.1), latent_dim=16, steps=300, eval_every=100, nll_samples=10)


def build(config: ModelConfig, spec: DataSpec) -> System:
    """Build the system."""
    if config.likelihood == "bernoulli":  # not binarised: noise in the images would be noise in the scores
        likelihood, prepare = likelihoods.bernoulli(), unit_pixels(spec)
    else:
        likelihood, prepare = pixels_of(config.likelihood, spec, num_components=config.num_components)
    vae = gaussian_vae(likelihood=likelihood, spec=spec, activation=nn.silu, **config.networks())
    system = vae_system(
        name="anomaly_detection",
        spec=spec,
        vae=vae,
        prepare=prepare,
        bound=warmed_bound(vae, config.dropout),
        optimizer=cosine_optimizer(config.optimizer, config.learning_rate, config.steps, config.weight_decay),
        hparams={"warmup_steps": config.warmup_steps},
    )
    return with_refitted_prior(augmented(system, shift=config.shift, flip=config.flip, steps=config.steps))


def run(config: Config, options: Options) -> Path:
    """Train the models of the protocol, score all test images by each, and compare the scores."""
    refuse(options, "models that are to know normal images alone", "init_from")
    refuse_layouts(options)
    splits, spec = data.load(config.data, image_size=config.image_size, default_size=config.default_size)
    splits = with_validation(splits, config.data)
    protocol = protocol_of(config, splits, spec)
    configs = [model_config(config, one.seed) for one in protocol.models]
    build(configs[0], spec)  # raises for what cannot be, before there is a folder
    folder = run_folder("anomaly_detection", options)
    record = {**header(experiment_module(build), spec, config), "num_train": len(splits.train.x)}
    begin(folder, record, options.resume, FREE_FIELDS | OF_TABLE)
    run_protocol(config.protocol, configs, build, protocol, splits, spec, folder, options, slow=config.regret)
    return folder


def protocol_of(config: Config, splits: Splits, spec: DataSpec) -> Protocol:
    """Return what models learn from and are asked; a `UserError` for data that do not allow it."""
    if config.protocol in WITH_CLASSES:
        return one_class(splits, spec, config.seeds, config.shares if config.protocol == "contamination" else (0.0,))
    if config.protocol == "flip":
        return flips(splits, config.seeds)
    if config.other is None:
        raise UserError("--protocol other_data needs the other data: pass --other SOURCE, written as --data.")
    others, of_others = data.load(config.other, image_size=config.image_size, default_size=config.default_size)
    if (of_others.shape, of_others.num_values) != (spec.shape, spec.num_values):
        raise UserError(
            f"--other {config.other} has {_said(of_others)}, --data {config.data} has {_said(spec)}: expected the "
            "same; --image-size brings both to one size."
        )
    return other_data(splits, others.test, config.other, config.seeds)


def model_config(config: Config, seed: int) -> ModelConfig:
    """Return the configuration of one of the models."""
    return ModelConfig(**{**{field.name: getattr(config, field.name) for field in fields(ModelConfig)}, "seed": seed})


# ---------- private


def _said(spec: DataSpec) -> str:
    height, width, channels = spec.shape
    return f"{'grey' if channels == 1 else 'colour'} images of {width}x{height} pixels and {spec.num_values} values"


if __name__ == "__main__":
    main(Config, None, __doc__, run=run)
