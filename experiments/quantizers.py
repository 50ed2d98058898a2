"""Quantizers compared in a VQ-VAE: same networks, data and steps, and the same number of codes per grid position.

Quantizers are compared by the reconstruction error and the codebook usage on test images.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import flax.linen as nn
import jax.numpy as jnp

from jaxvae.models import CodedTerms
from jaxvae.quantizers import FSQ, LFQ, GroupedQuantizer, GumbelQuantizer, ResidualQuantizer, VectorQuantizer
from jaxvae.runs.config import ImageConfig, at_least, require
from jaxvae.studies.cli import main
from jaxvae.systems.networks import network_dtype
from jaxvae.systems.pixels import pixels_of
from jaxvae.systems.vqvae_networks import convolutional_vqvae
from jaxvae.systems.vqvae_parts import vqvae_system
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, StepInput, System

Name = Literal[
    "plain",
    "kmeans",
    "restart",
    "cosine",
    "rotation",
    "low_dim",
    "gradient",
    "residual",
    "grouped",
    "fsq",
    "lfq",
    "gumbel",
]
OF_PARTS = ("residual", "grouped", "fsq")  # quantizers whose code is a combination of several

SWEEP = {"quantizer": get_args(Name)}


@dataclass(frozen=True)
class Config(ImageConfig):
    """Configuration of a VQ-VAE with one of many quantizers; each ignores the settings of the others."""

    quantizer: Name = "restart"
    """plain, kmeans (k-means initialisation), restart (of dead codes too), cosine, rotation, low_dim, gradient, ..."""
    num_codes: int = 512
    """codebook size, K; of several codes per position, the number of combinations"""
    code_dim: int = 48
    """channels of the quantised map, D"""
    channels: tuple[int, ...] = (32, 64)
    """channels of the encoder's layers, each of which halves the image's height and width"""
    num_blocks: int = 0
    """residual blocks of encoder and decoder"""
    commitment_weight: float = 0.25
    """weight of the commitment loss, beta"""
    decay: float = 0.99
    """decay of the codebook's exponential moving averages"""
    restart_below: float = 0.5
    """usage, in vectors per batch, below which a code is restarted at a vector of the batch; 0 disables restarts"""
    low_dim: int = 8
    """code dimensions of low_dim"""
    num_parts: int = 3
    """codes per position of residual and grouped, and channels of fsq, with K^(1/num_parts) values each"""
    kl_weight: float = 0.1
    """weight of gumbel's KL from uniform codes; 1 is the ELBO"""
    final_temperature: float = 0.0625
    """final temperature of gumbel, reached from 1 by exponential decay"""
    likelihood: Literal["bernoulli", "gaussian", "logistic_mixture"] = "logistic_mixture"
    """pixel distribution: bernoulli of binarised, logistic_mixture of 8-bit images, or gaussian (a density)"""
    num_components: int = 5
    """components of the logistic mixture"""
    sigma: float = 0.1
    """standard deviation of gaussian"""
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "num_codes", "code_dim", "num_components", "low_dim")
        require("channels", self.channels, min(self.channels, default=0) >= 1, "at least one, of at least 1")
        require("decay", self.decay, 0 <= self.decay < 1, "0 to below 1")
        at_least(self, 0, "num_blocks", "commitment_weight", "restart_below", "kl_weight")
        # Codes follow the vectors of the encoder as it is: an averaged one would choose among those of another.
        require("ema_decay", self.ema_decay, self.ema_decay == 0, "0: the codes follow the parameters as they are")
        require("sigma", self.sigma, self.sigma > 0, "more than 0")
        require("final_temperature", self.final_temperature, 0 < self.final_temperature <= 1, "0 to 1, not 0")
        if self.quantizer in OF_PARTS:
            exact = self.num_parts >= 1 and self.root**self.num_parts == self.num_codes and self.root >= 2
            require("num_parts", self.num_parts, exact, f"a root of --num-codes {self.num_codes} that is an integer")
        if self.quantizer == "grouped":
            divides = self.code_dim % self.num_parts == 0
            require("code_dim", self.code_dim, divides, f"a multiple of {self.num_parts}")
        if self.quantizer == "lfq":
            power = self.num_codes == 2**self.num_bits
            require("num_codes", self.num_codes, power, "a power of 2, which lfq needs")

    @property
    def root(self) -> int:
        """Codes of each of `num_parts`, whose combinations are `num_codes`."""
        return round(self.num_codes ** (1.0 / max(self.num_parts, 1)))

    @property
    def num_bits(self) -> int:
        """Bits of one of `num_codes` codes."""
        return round(math.log2(self.num_codes))

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, num_codes=64, code_dim=12, channels=(8, 16), steps=100, eval_every=50)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    likelihood, prepare = pixels_of(config.likelihood, spec, num_components=config.num_components, sigma=config.sigma)
    vqvae = convolutional_vqvae(
        spec,
        make_quantizer(config),
        likelihood,
        code_dim=config.code_dim,
        channels=config.channels,
        num_blocks=config.num_blocks,
        dtype=network_dtype(config.precision),
    )
    gumbel = config.quantizer == "gumbel"
    # gumbel's penalty is a sum in nats as log p(x | codes), those of the others are means over positions and channels.
    weight = config.kl_weight if gumbel else math.prod(spec.shape)

    def loss(terms: CodedTerms, inputs: StepInput) -> Array:  # nats
        return -jnp.mean(terms.log_px) + weight * jnp.mean(terms.penalty)

    def temperature(step: Array) -> Array:
        return config.final_temperature ** jnp.minimum(step / config.steps, 1.0)

    return vqvae_system(
        name="quantizers",
        spec=spec,
        model=vqvae,
        prepare=prepare,
        loss=loss,
        weight=weight,
        optimizer=cosine_adam(config.learning_rate, config.steps),
        temperature=temperature if gumbel else None,
    )


def make_quantizer(config: Config) -> nn.Module:
    """Return the quantizer of a configuration."""
    name, root, parts, dim = config.quantizer, config.root, config.num_parts, config.code_dim
    bare = VectorQuantizer(
        config.num_codes, dim, commitment_weight=config.commitment_weight, decay=config.decay, restart_below=0.0
    )
    restarted = bare.clone(restart_below=config.restart_below)
    of_vectors = {
        "plain": bare.clone(kmeans_iterations=0),
        "kmeans": bare,
        "restart": restarted,
        "cosine": restarted.clone(cosine=True),
        "rotation": restarted.clone(through="rotation"),
        "low_dim": restarted.clone(cosine=True, code_dim=config.low_dim),
        "gradient": bare.clone(update="gradient"),
    }
    if name in of_vectors:
        return of_vectors[name]
    if name == "residual":
        return ResidualQuantizer(restarted.clone(num_codes=root), parts)
    if name == "grouped":
        return GroupedQuantizer(restarted.clone(num_codes=root, dim=dim // parts), parts)
    if name == "fsq":
        return FSQ((root,) * parts, dim)
    if name == "lfq":
        return LFQ(config.num_bits, dim, commitment_weight=config.commitment_weight)
    return GumbelQuantizer(config.num_codes, dim)


if __name__ == "__main__":
    main(Config, build, __doc__, sweep=SWEEP, quick_sweep={"quantizer": ("restart", "fsq")})
