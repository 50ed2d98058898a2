"""VAE for binary images, with samples and likelihood: the main experiment (Kingma & Welling 2014).

Beside the plain VAE, which is `--prior normal --encoder-noise 0 --shift 0`, what makes better samples of a few thousand
images in two minutes: a learned prior (Dinh et al. 2017; Chen et al. 2017), an encoder that sees noise, training images
that are moved at random, the further the fewer there are, and a mixture of Gaussians that is fitted to the latents when
the training has ended (Ghosh et al. 2020).

Images with more than two values are binarised anew at every visit, with their intensity as the probability of a one
(Salakhutdinov & Murray 2008); binary images, such as masks, are taken as they are. The figures show sampled binary
images, not only means.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import flax.linen as nn
import jax.numpy as jnp

from jaxvae import objectives, schedules
from jaxvae.data import flipped_pixels
from jaxvae.keys import split_each
from jaxvae.likelihoods import bernoulli
from jaxvae.models import given_labels
from jaxvae.runs.config import OneGroupConfig, at_least, require
from jaxvae.runs.options import Options
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.bounds import bound_metrics
from jaxvae.systems.networks import gaussian_vae
from jaxvae.systems.pixels import binary_pixels, say_binarised
from jaxvae.systems.refit import with_refitted_prior
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import cosine_optimizer
from jaxvae.types import Array, DataSpec, Metrics, Params, PRNGKey, Splits, StepInput, System


@dataclass(frozen=True)
class Config(OneGroupConfig):
    """Configuration of a VAE of binary images."""

    encoder_noise: float = 0.05
    """probability that a pixel that the encoder sees in training is flipped, against overfitting; the bound holds"""
    warmup_cycles: int = 1
    """warm-up cycles within the warm-up steps; more than 1 is the cyclical schedule"""
    free_bits: float = 0.0
    """free bits: KL per dimension, in nats, that is not penalised, against posterior collapse"""
    class_conditional: bool = False
    """condition encoder, decoder and the prior realnvp on the class: p(x | class)"""
    learning_rate: float = 1.5e-3
    steps: int = 18_000

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("channels", "num_blocks"):
            require(field, getattr(self, field), getattr(self, field) != (), "at least one number")
        at_least(self, 1, "warmup_cycles")
        at_least(self, 0, "free_bits")
        require("encoder_noise", self.encoder_noise, 0 <= self.encoder_noise <= 1, "0 to 1")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, steps=1_500, eval_every=500, nll_samples=50)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    # silu is better than relu by a nat or two
    options = {"activation": nn.silu, "class_conditional": config.class_conditional}
    vae = gaussian_vae(likelihood=bernoulli(), spec=spec, **options, **config.networks())

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        """Log p(x) >= E_q(z|s)[log p(x | z)] - KL(q(z | s) || p(z)), whatever s the encoder sees, per image in nats."""
        noise, draw = split_each(keys)
        seen = flipped_pixels(noise, x, config.encoder_noise)
        given = {"seen": seen, "dropout": config.dropout, **given_labels(vae, inputs.batch.labels)}
        terms, q = vae.apply({"params": params}, draw, x, **given, method="terms_and_stats")
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
    return with_refitted_prior(augmented(system, shift=config.shift, flip=config.flip, steps=config.steps))


def check(configs: Sequence[Config], options: Options, splits: Splits, spec: DataSpec) -> None:
    """Say what becomes of images that are not binary."""
    say_binarised(build(configs[0], spec), "python -m experiments.image_vae")


if __name__ == "__main__":
    main(Config, build, __doc__, check=check)
