"""VQ-VAE with one grid of discrete codes (van den Oord et al. 2017, arXiv:1711.00937) or two (VQ-VAE-2).

The first of two stages: `experiments.vqvae_prior` trains a prior over the grids. The codebook is initialised by k-means
on the first batch, updated by exponential moving averages of the assigned vectors, and dead codes are restarted at
vectors of the batch.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import jax.numpy as jnp

from jaxvae.models import CodedTerms
from jaxvae.quantizers import VectorQuantizer
from jaxvae.runs.config import AugmentedConfig, at_least, require
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.networks import network_dtype
from jaxvae.systems.pixels import pixels_of
from jaxvae.systems.vqvae_networks import convolutional_vqvae
from jaxvae.systems.vqvae_parts import vqvae_system
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, StepInput, System


@dataclass(frozen=True)
class Config(AugmentedConfig):
    """Configuration of a VQ-VAE."""

    num_codes: int = 512
    """codebook size, K"""
    code_dim: int = 64
    """code dimensions, D"""
    channels: tuple[int, ...] = (32, 64)
    """channels of the encoder's layers, each of which halves the image's height and width"""
    num_blocks: int = 0
    """residual blocks of encoder and decoder"""
    levels: Literal[1, 2] = 1
    """grids of codes; the second one has half the height and width"""
    cosine: bool = True
    """cosine similarity instead of Euclidean distance: codes and vectors are normalised to length 1"""
    through: Literal["straight_through", "rotation"] = "straight_through"
    """gradient estimator through the quantizer"""
    commitment_weight: float = 0.25
    """weight of the commitment loss, beta"""
    decay: float = 0.99
    """decay of the codebook's exponential moving averages"""
    restart_below: float = 0.5
    """usage, in vectors per batch, below which a code is restarted at a vector of the batch; 0 disables restarts"""
    likelihood: Literal["bernoulli", "gaussian", "logistic_mixture"] = "logistic_mixture"
    """pixel distribution: bernoulli of binarised, logistic_mixture of 8-bit images, or gaussian (a density)"""
    num_components: int = 5
    """components of the logistic mixture"""
    sigma: float = 0.1
    """standard deviation of gaussian"""
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "num_codes", "code_dim", "num_components")
        require("channels", self.channels, min(self.channels, default=0) >= 1, "at least one, of at least 1")
        require("decay", self.decay, 0 <= self.decay < 1, "0 to below 1")
        at_least(self, 0, "num_blocks", "commitment_weight", "restart_below")
        # Codes follow the vectors of the encoder as it is: an averaged one would choose among those of another.
        require("ema_decay", self.ema_decay, self.ema_decay == 0, "0: the codes follow the parameters as they are")
        require("sigma", self.sigma, self.sigma > 0, "more than 0")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, num_codes=32, code_dim=16, channels=(8, 16), steps=300, eval_every=100)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    likelihood, prepare = pixels_of(config.likelihood, spec, num_components=config.num_components, sigma=config.sigma)
    quantizer = VectorQuantizer(
        config.num_codes,
        config.code_dim,
        through=config.through,
        cosine=config.cosine,
        commitment_weight=config.commitment_weight,
        decay=config.decay,
        restart_below=config.restart_below,
    )
    vqvae = convolutional_vqvae(
        spec,
        quantizer,
        likelihood,
        code_dim=config.code_dim,
        channels=config.channels,
        num_blocks=config.num_blocks,
        levels=config.levels,
        dtype=network_dtype(config.precision),
    )
    weight = math.prod(spec.shape)  # a mean over positions and channels beside a sum over as many pixel values

    def loss(terms: CodedTerms, inputs: StepInput) -> Array:  # nats, eq. 3
        reconstruction = -jnp.mean(terms.log_px)  # -log p(x | z_q(x)), whose gradient passes the codes on to z_e(x)
        commitment = jnp.mean(terms.penalty)  # beta |z_e(x) - sg[e]|^2
        return reconstruction + weight * commitment  # without |sg[z_e(x)] - e|^2: e is a moving average (appendix A.1)

    system = vqvae_system(
        name="vqvae",
        spec=spec,
        model=vqvae,
        prepare=prepare,
        loss=loss,
        weight=weight,
        optimizer=cosine_adam(config.learning_rate, config.steps),
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


if __name__ == "__main__":
    main(Config, build, __doc__)
