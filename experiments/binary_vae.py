"""VAE for binary images, with samples and likelihood: the main experiment (Kingma & Welling 2014).

Beside the plain VAE, which is `--prior normal --encoder-noise 0 --shift 0`, what makes better samples of a few thousand
images in two minutes: a learned prior (Dinh et al. 2017; Chen et al. 2017), an encoder that sees noise, and training
images that are moved at random, the further the fewer there are.

Images with more than two values are binarised anew at every visit, with their intensity as the probability of a one
(Salakhutdinov & Murray 2008); binary images, such as masks, are taken as they are. The figures show sampled binary
images, not only means.
"""

from dataclasses import dataclass, replace
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp

from jaxvae import objectives, schedules
from jaxvae.data import flipped_pixels
from jaxvae.flows import CouplingFlow
from jaxvae.keys import split_each
from jaxvae.likelihoods import bernoulli
from jaxvae.priors import FlowPrior
from jaxvae.runs.config import VAEConfig, at_least, require
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.bounds import bound_metrics
from jaxvae.systems.networks import Net, gaussian_vae
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import OptimizerName, cosine_optimizer
from jaxvae.types import Array, DataSpec, Metrics, Params, PRNGKey, StepInput, System


@dataclass(frozen=True)
class Config(VAEConfig):
    """Configuration of a VAE of binary images."""

    net: Net = "mlp"
    """architecture of encoder and decoder"""
    latent_dim: int = 32
    """latent dimensions"""
    prior: Literal["realnvp", "normal"] = "realnvp"
    """prior p(z): a normalizing flow that is learned with the rest, or N(0, I)"""
    num_flows: int = 4
    """coupling layers of the prior realnvp"""
    encoder_noise: float = 0.05
    """probability that a pixel that the encoder sees in training is flipped, against overfitting; the bound holds"""
    dropout: float = 0.0
    """probability that a feature of the encoder is dropped in training, against overfitting; the bound holds"""
    shift: int | None = None
    """data augmentation: pixels by which training images are moved at random; by default the more the fewer they are"""
    channels: tuple[int, ...] = (32, 64)
    """channels of conv and resnet, of each halving of the image"""
    num_blocks: tuple[int, ...] = (1,)
    """residual blocks per stage of resnet, one number for all stages or one for each"""
    remat: bool = False
    """recompute activations of resnet blocks in the backward pass (rematerialisation): less memory, more time"""
    warmup_steps: int = 200
    """steps of linear KL warm-up from 0 to 1, against posterior collapse"""
    warmup_cycles: int = 1
    """warm-up cycles within those steps; more than 1 is the cyclical schedule"""
    free_bits: float = 0.0
    """free bits: KL per dimension, in nats, that is not penalised, against posterior collapse"""
    optimizer: OptimizerName = "adam"
    """optimizer"""
    weight_decay: float = 0.0
    """weight decay, times the learning rate"""
    learning_rate: float = 1.5e-3
    ema_decay: float = 0.999
    steps: int = 12_000
    eval_every: int = 1_000

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "latent_dim", "num_flows", "warmup_cycles")
        require("channels", self.channels, min(self.channels, default=0) >= 1, "at least one, of at least 1")
        sound = min(self.num_blocks, default=-1) >= 0 and len(self.num_blocks) in (1, len(self.channels))
        require("num_blocks", self.num_blocks, sound, "one number of at least 0 for all --channels, or one for each")
        at_least(self, 0, "warmup_steps", "free_bits", "weight_decay")
        require("dropout", self.dropout, 0 <= self.dropout < 1, "0 to below 1")
        require("encoder_noise", self.encoder_noise, 0 <= self.encoder_noise <= 1, "0 to 1")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, steps=1_500, eval_every=500, nll_samples=50)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    vae = gaussian_vae(
        config.net,
        config.latent_dim,
        bernoulli(),
        spec,
        precision=config.precision,
        activation=nn.silu,  # by a nat or two better than relu
        channels=config.channels,
        num_blocks=config.num_blocks if len(config.num_blocks) > 1 else config.num_blocks[0],
        remat=config.remat,
    )

    if config.prior == "realnvp":
        vae = vae.clone(prior=FlowPrior(CouplingFlow(config.latent_dim, config.num_flows, (128, 128))))

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        """Log p(x) >= E_q(z|s)[log p(x | z)] - KL(q(z | s) || p(z)), whatever s the encoder sees, per image in nats."""
        noise, draw = split_each(keys)
        seen = flipped_pixels(noise, x, config.encoder_noise)
        terms, q = vae.apply({"params": params}, draw, x, seen=seen, dropout=config.dropout, method="terms_and_stats")
        if vae.has_closed_kl:
            kl = vae.apply({"params": params}, q, method="closed_kl")  # [B, D]
        else:
            kl = terms.log_qz[0] - terms.log_pz[0]  # of the one sample, [B, 1]
        hparams = inputs.hparams
        cyclical = schedules.cyclical_warmup(inputs.step, hparams["warmup_steps"], hparams["warmup_cycles"])
        linear = schedules.linear_warmup(inputs.step, hparams["warmup_steps"])
        warmup = jnp.where(hparams["warmup_cycles"] > 1, cyclical, linear)
        penalty = objectives.free_bits(kl, hparams["free_bits"], inputs.axis_name)
        elbo = objectives.elbo_analytic(terms.log_px, penalty, warmup)
        return elbo, bound_metrics(-jnp.mean(terms.log_px, axis=0), jnp.sum(kl, axis=-1))

    system = vae_system(
        name="binary_vae",
        spec=spec,
        vae=vae,
        prepare=binary_pixels(spec),
        bound=bound,
        optimizer=cosine_optimizer(config.optimizer, config.learning_rate, config.steps, config.weight_decay),
        hparams={name: getattr(config, name) for name in ("warmup_steps", "warmup_cycles", "free_bits")},
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


if __name__ == "__main__":
    main(Config, build, __doc__)
