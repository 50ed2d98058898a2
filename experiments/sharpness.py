"""Sharpness of samples: a VAE, a PixelVAE and a VQ-VAE with as many parameters each.

Sharpness is the power at high spatial frequencies (`jaxvae.evaluation.high_frequency_power`) relative to that of the
test images: 1 is as sharp as these, less is blurred, more is noisy. Measured are pixel means of the VAE and the VQ-VAE,
and sampled pixels of the PixelVAE, which has no means; sampled pixels of the VAE are measured too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import jax

from experiments import pixel_vae, vqvae, vqvae_prior
from jaxvae.errors import UserError
from jaxvae.reports import report
from jaxvae.reports.code_prior import report_code_prior
from jaxvae.reports.sharpness import draw_sharpness, measure_vae, measure_vqvae
from jaxvae.reports.summary import write_summary
from jaxvae.runs.config import ImageConfig, at_least
from jaxvae.runs.options import Options, refuse
from jaxvae.runs.train import of_part, train
from jaxvae.studies.cli import main
from jaxvae.studies.stages import PriorStage, Stage, train_stages
from jaxvae.systems.code_prior import code_spec
from jaxvae.systems.first_stage import abstract_variables
from jaxvae.types import DataSpec, Splits, System

Model = Literal["vae", "pixel_vae", "vqvae"]
SWEEP = {"model": ("vae", "pixel_vae", "vqvae")}


@dataclass(frozen=True)
class Config(ImageConfig):
    """Configuration of one of the models; all have as many parameters and training steps."""

    model: Model = "vqvae"
    """model to train; vqvae has a PixelCNN prior over its codes"""
    likelihood: Literal["bernoulli", "logistic_mixture"] = "logistic_mixture"
    """pixel distribution: bernoulli of binarised images, or logistic_mixture of 8-bit images"""
    latent_dim: int = 32
    """latent dimensions of the VAEs"""
    warmup_steps: int = 500
    """steps of linear KL warm-up of the VAEs"""
    num_layers: int = 2
    """PixelCNN layers of the PixelVAE"""
    features: int = 16
    """channels of these layers"""
    num_codes: int = 512
    """codebook size of the VQ-VAE"""
    prior_layers: int = 6
    """layers of the PixelCNN prior over the codes"""
    prior_features: int = 64
    """channels of these layers; the dense layers of the VAEs are sized so that all models have as many parameters"""
    nll_samples: int = 50
    """importance samples per test image for the NLL of the VAEs"""
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = ("latent_dim", "num_layers", "features", "num_codes", "prior_layers", "prior_features", "nll_samples")
        at_least(self, 1, *counts)
        at_least(self, 0, "warmup_steps")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        small = {"features": 4, "num_layers": 1, "num_codes": 32, "prior_layers": 2, "prior_features": 16}
        return replace(self, **small, steps=100, warmup_steps=30, eval_every=50, nll_samples=5)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system: the VAE or the PixelVAE, or the VQ-VAE, whose prior is built on it."""
    if config.model == "vqvae":
        return coded_systems(config, spec)[0]
    return pixel_vae.build(vae_config(config, spec), spec)


def vae_config(config: Config, spec: DataSpec) -> pixel_vae.Config:
    """Return the configuration of the VAE, or of the PixelVAE, that has as many parameters as the VQ-VAE and its prior.

    Raises:
      UserError: if its other layers leave nothing for those that make it as large.
    """
    chosen = pixel_vae.Config(
        **_shared(config),
        likelihood=config.likelihood,
        latent_dim=config.latent_dim,
        warmup_steps=config.warmup_steps,
        nll_samples=config.nll_samples,
        num_layers=config.num_layers if config.model == "pixel_vae" else 0,
        features=config.features,
    )
    one, two = (num_params(pixel_vae.build(replace(chosen, hidden=hidden), spec)) for hidden in (1, 2))
    wanted = sum(map(num_params, coded_systems(config, spec)))
    hidden = round(1 + (wanted - one) / (two - one))  # parameters are linear in it
    if hidden < config.latent_dim:
        raise UserError(
            f"A model of {wanted} parameters has dense layers of {hidden} units, fewer than the {config.latent_dim} of "
            "its latent: take more --prior-features or --prior-layers, or fewer --features or --num-layers."
        )
    return replace(chosen, hidden=hidden)


def prior_config(config: Config) -> vqvae_prior.Config:
    """Return the configuration of the prior."""
    return vqvae_prior.Config(
        **_shared(config),
        likelihood=config.likelihood,
        num_codes=config.num_codes,
        codec_steps=config.steps,
        features=config.prior_features,
        num_layers=config.prior_layers,
    )


def codec_config(config: Config) -> vqvae.Config:
    """Return the configuration of the VQ-VAE, whose learning rate is its own and whose codes follow no average."""
    chosen = {name: value for name, value in _shared(config).items() if name not in ("learning_rate", "ema_decay")}
    chosen["eval_every"] = min(config.steps, config.eval_every)
    return vqvae.Config(**chosen, likelihood=config.likelihood, num_codes=config.num_codes)


def coded_systems(config: Config, spec: DataSpec) -> tuple[System, System]:
    """Return the VQ-VAE and its prior."""
    codec: Any = vqvae.build(codec_config(config), spec)
    return codec, vqvae_prior.build(prior_config(config), code_spec(codec.parts), codec.parts)


def num_params(system: System) -> int:
    """Return the number of trained parameters of a model, codebooks of moving averages included."""
    assert system.parts is not None
    params, state = abstract_variables(system.parts)
    codebook = state.get("codebook", {})
    embeddings = [leaf for path, leaf in jax.tree.leaves_with_path(codebook) if path[-1].key == "embeddings"]
    return sum(leaf.size for leaf in [*jax.tree.leaves(params), *embeddings])


def check(configs: Sequence[Config], options: Options, splits: Splits, spec: DataSpec) -> None:
    """Raise a `UserError` for a model that cannot be, before the others are trained."""
    refuse(options, "a comparison of models", "init_from")
    for config in configs:
        build(config, spec)


def train_models(
    configs: Sequence[Config], folders: Sequence[Path], options: Options, splits: Splits, spec: DataSpec
) -> list[dict[str, Any]]:
    """Train models one after another, report them, and measure the sharpness of their images."""
    rows = []
    for config, folder in zip(configs, folders, strict=True):
        started = of_part(folder, options)
        if config.model == "vqvae":
            of_prior = PriorStage(prior_config(config), vqvae_prior.build)
            of_codec = Stage(codec_config(config), vqvae.build)
            prior, codes, codec = train_stages(of_prior, of_codec, splits, spec, folder, started)
            row = {**prior.training, **report_code_prior(prior, codes, codec, splits, brief=True)}
            size, measured = num_params(codec.system) + num_params(prior.system), measure_vqvae(prior, codec, splits)
        else:
            vae = train(vae_config(config, spec), pixel_vae.build, splits, spec, folder, started)
            row = {**vae.training, **report(vae, splits, brief=True)}
            size, measured = num_params(vae.system), measure_vae(vae, splits, row["metrics"])
        metrics = {**row["metrics"], **measured, "parameters": size}
        write_summary(folder, row, metrics)
        print(f"{folder}: " + ", ".join(f"{name} {value:.4g}" for name, value in measured.items()))
        rows.append({**row, "metrics": metrics})
    return rows


# ---------- private


def _shared(config: Config) -> dict[str, Any]:
    """The settings that all trainings have."""
    return {field.name: getattr(config, field.name) for field in fields(ImageConfig)}


if __name__ == "__main__":
    main(Config, build, __doc__, sweep=SWEEP, quick_sweep=SWEEP, members=train_models, check=check, draw=draw_sharpness)
