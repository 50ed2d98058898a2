"""Disentanglement: whether each latent stands for one factor of generated images, beta-VAE against its successors.

All methods add a penalty to the ELBO: beta-VAE (Higgins et al. 2017) on the KL, beta-TCVAE (Chen et al. 2018) and
FactorVAE (Kim & Mnih 2018) on the total correlation of the latents, known from the batch or by a discriminator. The
images are `sprites`, whose five factors are known and no part of the training; scores are of 10,000 of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import jax.numpy as jnp

from jaxvae import objectives
from jaxvae.data import sprites
from jaxvae.errors import UserError
from jaxvae.likelihoods import bernoulli
from jaxvae.reports.disentanglement import EVALUATION, draw_disentanglement
from jaxvae.runs.config import VAEConfig, at_least, require
from jaxvae.runs.options import Options
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.bounds import bound_metrics, draw_terms
from jaxvae.systems.factor_vae import FactorVAEParts, factor_vae_system
from jaxvae.systems.networks import Net, gaussian_vae
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vae_parts import Bound, vae_system
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, Metrics, Params, PRNGKey, Splits, StepInput, System

Method = Literal["beta_tcvae", "beta_vae", "factor_vae"]
WEIGHTS: dict[Method, float] = {
    "beta_vae": 4.0,
    "beta_tcvae": 6.0,
    "factor_vae": 35.0,
}  # of the papers, on 64x64 pixels
SWEEP = {"seed": tuple(range(10))}  # which matter more than methods do


@dataclass(frozen=True)
class Config(VAEConfig):
    """Configuration of a VAE with a penalty for latents that do not stand for one thing each."""

    data: str = "sprites"
    """sprites; other images have no known factors"""
    method: Method = "beta_tcvae"
    """beta_vae weighs the KL, beta_tcvae and factor_vae the total correlation of the latents"""
    weight: float | None = None
    """weight, beta or gamma; by default that of the paper: 4 of beta_vae, 6 of beta_tcvae, 35 of factor_vae"""
    net: Net = "mlp"
    """architecture of encoder and decoder"""
    latent_dim: int = 10
    """latent dimensions"""
    batch_size: int = 256
    steps: int = 100_000
    eval_every: int = 10_000
    nll_samples: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 2, "latent_dim")
        require("weight", self.weight, self.weight is None or self.weight >= 0, "at least 0")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, steps=300, eval_every=300, nll_samples=2)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    vae = gaussian_vae(config.net, config.latent_dim, bernoulli(), spec, precision=config.precision)
    num_train = sprites.NUM - 2 * sprites.HELD_OUT

    def bound_of(parts: FactorVAEParts | None = None) -> Bound:
        def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
            """E_q(z|x)[log p(x | z)] - KL(q(z | x) || p(z)) - penalty, per image in nats."""
            z, q, log_px, log_pz = draw_terms(vae, params, keys, x)
            kl = jnp.sum(vae.apply({"params": params}, q, method="closed_kl"), axis=-1)
            weight, axis = inputs.hparams["weight"], inputs.axis_name
            if config.method == "beta_vae":
                penalty = (weight - 1.0) * kl
            elif config.method == "beta_tcvae":  # Chen et al., eq. 4, with the KL in closed form
                penalty = (weight - 1.0) * objectives.decompose_kl(
                    z, q, log_pz, num_train, axis_name=axis
                ).total_correlation
            else:  # Kim & Mnih, eq. 2
                penalty = weight * parts.log_ratio(params, z)
            return log_px - kl - penalty, {**bound_metrics(-log_px, kl), "penalty": penalty}

        return bound

    weight = WEIGHTS[config.method] if config.weight is None else config.weight
    shared = {
        "name": "disentanglement",
        "spec": spec,
        "vae": vae,
        "prepare": binary_pixels(spec),
        "optimizer": cosine_adam(config.learning_rate, config.steps),
        "hparams": {"weight": weight},
    }
    if config.method == "factor_vae":
        system = factor_vae_system(**shared, bound=bound_of)
    else:
        system = vae_system(**shared, bound=bound_of())
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


def check(configs: Sequence[Config], options: Options, splits: Splits, spec: DataSpec) -> None:
    """Raise a `UserError` for images whose factors are not known."""
    for config in configs:
        if config.data != "sprites":
            raise UserError(f"--data is {config.data}, whose factors are not known: expected sprites.")


if __name__ == "__main__":
    main(Config, build, __doc__, sweep=SWEEP, check=check, evaluation=EVALUATION, draw=draw_disentanglement)
