"""Convolutional VAE for binary images, with samples and likelihood: the main experiment (Kingma & Welling 2014).

Images with more than two values are binarised anew at every visit, with their intensity as the probability of a one
(Salakhutdinov & Murray 2008); binary images, such as masks, are taken as they are. The figures show sampled binary
images, not only means.
"""

from dataclasses import dataclass, replace

import jax.numpy as jnp

from jaxvae import objectives, schedules
from jaxvae.likelihoods import bernoulli
from jaxvae.runs.config import VAEConfig, at_least
from jaxvae.studies.cli import main
from jaxvae.systems.bounds import bound_metrics
from jaxvae.systems.networks import Net, gaussian_vae
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, Metrics, Params, PRNGKey, StepInput, System


@dataclass(frozen=True)
class Config(VAEConfig):
    """Configuration of a VAE of binary images."""

    net: Net = "conv"
    """architecture of encoder and decoder"""
    latent_dim: int = 16
    """latent dimensions"""
    num_blocks: int = 1
    """residual blocks per stage of resnet"""
    remat: bool = False
    """recompute activations of resnet blocks in the backward pass (rematerialisation): less memory, more time"""
    warmup_steps: int = 0
    """steps of linear KL warm-up from 0 to 1, against posterior collapse"""
    warmup_cycles: int = 1
    """warm-up cycles within those steps; more than 1 is the cyclical schedule"""
    free_bits: float = 0.0
    """free bits: KL per dimension, in nats, that is not penalised, against posterior collapse"""
    learning_rate: float = 2e-3
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "latent_dim", "num_blocks", "warmup_cycles")
        at_least(self, 0, "warmup_steps", "free_bits")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, steps=300, warmup_steps=150, eval_every=100, nll_samples=50)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    vae = gaussian_vae(
        config.net,
        config.latent_dim,
        bernoulli(),
        spec,
        precision=config.precision,
        num_blocks=config.num_blocks,
        remat=config.remat,
    )

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        """Log p(x) >= E_q(z|x)[log p(x | z)] - KL(q(z | x) || p(z)), the KL in closed form, per image in nats."""
        hparams = inputs.hparams
        terms, q = vae.apply({"params": params}, keys, x, method="terms_and_stats")
        kl = vae.apply({"params": params}, q, method="closed_kl")  # [B, D]
        cyclical = schedules.cyclical_warmup(inputs.step, hparams["warmup_steps"], hparams["warmup_cycles"])
        linear = schedules.linear_warmup(inputs.step, hparams["warmup_steps"])
        warmup = jnp.where(hparams["warmup_cycles"] > 1, cyclical, linear)
        penalty = objectives.free_bits(kl, hparams["free_bits"], inputs.axis_name)
        elbo = objectives.elbo_analytic(terms.log_px, penalty, warmup)
        return elbo, bound_metrics(-jnp.mean(terms.log_px, axis=0), jnp.sum(kl, axis=-1))

    return vae_system(
        name="binary_vae",
        spec=spec,
        vae=vae,
        prepare=binary_pixels(spec),
        bound=bound,
        optimizer=cosine_adam(config.learning_rate, config.steps),
        hparams={name: getattr(config, name) for name in ("warmup_steps", "warmup_cycles", "free_bits")},
    )


if __name__ == "__main__":
    main(Config, build, __doc__)
