"""Top-down hierarchical VAE: groups of latents on maps of growing size, each inferred given those above.

Encoder and decoder share the way down (Sønderby et al. 2016; Vahdat & Kautz 2020; Child 2021): a map h of the groups
above gives the prior of a group and, with the encoder's map of that size, its posterior. Groups on small maps decide
what is drawn, those on large maps where its edges run; the figures draw one of them anew and keep the rest.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import jax.numpy as jnp

from jaxvae import objectives, schedules
from jaxvae.data import flipped_pixels
from jaxvae.data.notices import notice
from jaxvae.flows import CouplingFlow
from jaxvae.keys import split_each
from jaxvae.priors import FlowPrior
from jaxvae.runs.config import VAEConfig, at_least, require
from jaxvae.runs.options import Options
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.bounds import bound_metrics
from jaxvae.systems.networks import network_dtype
from jaxvae.systems.pixels import PixelLikelihood, pixels_of
from jaxvae.systems.top_down import make_groups, top_down_vae
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import OptimizerName, cosine_optimizer
from jaxvae.types import Array, DataSpec, Metrics, Params, PRNGKey, Splits, StepInput, System


@dataclass(frozen=True)
class Config(VAEConfig):
    """Configuration of a top-down VAE."""

    sizes: tuple[int, ...] = ()
    """sides of the maps of the groups of latents, top first; by default 4 7 7 14 14 for images of 28x28, like others"""
    channels: tuple[int, ...] = ()
    """channels of these maps, one number for all or one each; by default 64, and 32 of the largest maps"""
    latents: tuple[int, ...] = ()
    """latents for each place of these maps, one number for all or one each; by default 16, then 8, 4 of the largest"""
    prior: Literal["normal", "realnvp"] = "normal"
    """prior of the top group: N(0, I), or a normalizing flow that is learned with the rest"""
    num_flows: int = 4
    """coupling layers of the prior realnvp"""
    likelihood: Literal["bernoulli", "logistic_mixture"] | None = None
    """bernoulli, of binarised images, or logistic_mixture, of 8-bit ones; by default bernoulli unless in colour"""
    num_components: int = 5
    """components of the logistic mixture"""
    encoder_noise: float = 0.05
    """probability that a binary pixel that the encoder sees in training is flipped, against overfitting"""
    shift: int | None = None
    """data augmentation: pixels by which training images are moved at random; by default the more the fewer they are"""
    free_bits: float = 0.5
    """free bits: KL per group, in nats, that is not penalised in training, against posterior collapse"""
    warmup_steps: int = 500
    """steps of linear KL warm-up from 0 to 1, against posterior collapse"""
    remat: bool = False
    """recompute activations in the backward pass (rematerialisation): less memory, more time"""
    optimizer: OptimizerName = "adamax"
    """optimizer"""
    weight_decay: float = 0.0
    """weight decay, times the learning rate"""
    learning_rate: float = 2e-3
    clip_norm: float | None = 200.0
    batch_size: int = 100
    ema_decay: float = 0.999
    steps: int = 6_000
    nll_samples: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "num_flows", "num_components")
        at_least(self, 0, "warmup_steps", "free_bits", "weight_decay")
        for field in ("sizes", "channels", "latents"):
            numbers = getattr(self, field)
            require(field, numbers, all(number >= 1 for number in numbers), "numbers of at least 1")
        require("encoder_noise", self.encoder_noise, 0 <= self.encoder_noise <= 1, "0 to 1")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, channels=(16,), steps=300, warmup_steps=100, eval_every=100, nll_samples=10)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    groups = make_groups(spec.shape, config.sizes, config.channels, config.latents)
    name = likelihood_name(config, spec)
    likelihood, prepare = pixels_of(name, spec, num_components=config.num_components)
    encoder_noise = config.encoder_noise if name == "bernoulli" else 0.0
    vae = top_down_vae(spec, likelihood, groups, dtype=network_dtype(config.precision), remat=config.remat)
    if config.prior == "realnvp":
        vae = vae.clone(prior=FlowPrior(CouplingFlow(math.prod(vae.group_shapes[0]), config.num_flows, (128, 128))))

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        """Log p(x) >= E_q[log p(x | z) - sum_l KL(q(z_l | z_<l, s) || p(z_l | z_<l))], whatever s the encoder sees."""
        noise, draw = split_each(keys)
        seen = flipped_pixels(noise, x, encoder_noise)
        terms, q = vae.apply({"params": params}, draw, x, seen=seen, method="terms_and_stats")
        kl = vae.apply({"params": params}, terms, q, method="kl_per_group")  # [B, L]
        warmup = schedules.linear_warmup(inputs.step, inputs.hparams["warmup_steps"])
        penalty = objectives.free_bits(kl, inputs.hparams["free_bits"], inputs.axis_name)
        elbo = objectives.elbo_analytic(terms.log_px, penalty, warmup)
        return elbo, bound_metrics(-jnp.mean(terms.log_px, axis=0), jnp.sum(kl, axis=-1))

    system = vae_system(
        name="top_down_vae",
        spec=spec,
        vae=vae,
        prepare=prepare,
        bound=bound,
        optimizer=cosine_optimizer(config.optimizer, config.learning_rate, config.steps, config.weight_decay),
        hparams={"warmup_steps": config.warmup_steps, "free_bits": config.free_bits},
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


def likelihood_name(config: Config, spec: DataSpec) -> PixelLikelihood:
    """Return the likelihood that is asked for, or suits the images."""
    return config.likelihood or ("bernoulli" if spec.shape[-1] == 1 else "logistic_mixture")


def check(configs: Sequence[Config], options: Options, splits: Splits, spec: DataSpec) -> None:
    """Say what becomes of images that are not binary."""
    if spec.num_values > 2 and "bernoulli" in {likelihood_name(config, spec) for config in configs}:
        notice(
            f"these images have {spec.num_values} values and are binarised anew at every visit, with their intensity "
            "as the probability of a one; --likelihood logistic_mixture models the values themselves."
        )


if __name__ == "__main__":
    main(Config, build, __doc__, check=check)
