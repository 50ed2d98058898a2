"""PixelVAE: a VAE whose decoder ends in a few PixelCNN layers, against the same VAE with independent pixels.

Local dependence of pixels is modelled by the decoder and not by the latent (Gulrajani et al. 2017, arXiv:1611.05013),
which may collapse: KL, active units and mutual information are reported with the likelihood. Against collapse there
are KL warm-up, free bits, and a small receptive field of few layers.
"""

from dataclasses import dataclass, replace
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp

from jaxvae import objectives, schedules
from jaxvae.nets import MLP, AutoregressiveDecoder, ConvDecoder, Double, PixelCNN
from jaxvae.runs.config import LatentConfig, at_least, require
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.bounds import bound_metrics
from jaxvae.systems.networks import Net, gaussian_vae, network_dtype
from jaxvae.systems.pixels import pixels_of
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, Metrics, Params, PRNGKey, StepInput, System

SWEEP = {"num_layers": (0, 2)}


@dataclass(frozen=True)
class Config(LatentConfig):
    """Configuration of a PixelVAE."""

    num_layers: int = 2
    """PixelCNN layers of the decoder; 0 for independent pixels"""
    features: int = 16
    """channels of the PixelCNN, and of the map that conditions it on z"""
    first_reach: int = 2
    """receptive field of its first layer in pixels each way; each further layer adds one"""
    free_bits: float = 0.0
    """free bits: KL per dimension, in nats, that is not penalised"""
    likelihood: Literal["bernoulli", "logistic_mixture"] = "bernoulli"
    """pixel distribution: bernoulli of binarised images, or logistic_mixture of 8-bit images"""
    num_components: int = 5
    """components of the logistic mixture"""
    hidden: int = 256
    """hidden units of the dense layers before and after the latent"""
    net: Net = "conv"
    latent_dim: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "features", "first_reach", "num_components", "hidden")
        at_least(self, 0, "num_layers", "free_bits")
        same = self.net == "conv" or not self.num_layers
        require("net", self.net, same, "conv, whose decoder makes the map under a PixelCNN")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, num_layers=1, features=8, steps=150, warmup_steps=50, eval_every=50, nll_samples=5)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    likelihood, prepare = pixels_of(config.likelihood, spec, num_components=config.num_components)
    vae = gaussian_vae(
        config.net, config.latent_dim, likelihood, spec, precision=config.precision, hidden=config.hidden
    )
    if config.num_layers:
        dtype, size = network_dtype(config.precision), (spec.shape[0], spec.shape[1])
        to_map = [
            MLP((config.hidden,), dtype=dtype),
            ConvDecoder((64, 32), spec.shape, dtype=dtype),
            Double(config.features, size),
        ]
        net = PixelCNN(spec.shape[-1], config.features, config.num_layers, config.first_reach, dtype)
        shapes = likelihood.param_shapes(spec.shape)
        decoder = AutoregressiveDecoder(net, shapes, context=nn.Sequential(to_map), dtype=dtype)
        vae = vae.clone(decoder=decoder)

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        """Log p(x) >= E_q(z|x)[sum_i log p(x_i | x_<i, z)] - KL(q(z | x) || p(z)), per image in nats (eq. 1 and 2)."""
        hparams = inputs.hparams
        terms, q = vae.apply({"params": params}, keys, x, method="terms_and_stats")
        kl = vae.apply({"params": params}, q, method="closed_kl")  # [B, D]
        beta = schedules.linear_warmup(inputs.step, hparams["warmup_steps"])
        penalty = objectives.free_bits(kl, hparams["free_bits"], inputs.axis_name)
        value = objectives.elbo_analytic(terms.log_px, penalty, beta)
        return value, bound_metrics(-jnp.mean(terms.log_px, axis=0), jnp.sum(kl, axis=-1))

    system = vae_system(
        name="pixel_vae",
        spec=spec,
        vae=vae,
        prepare=prepare,
        bound=bound,
        optimizer=cosine_adam(config.learning_rate, config.steps),
        hparams={"warmup_steps": config.warmup_steps, "free_bits": config.free_bits},
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


if __name__ == "__main__":
    main(Config, build, __doc__, sweep=SWEEP, quick_sweep={"num_layers": (0, 1)})
