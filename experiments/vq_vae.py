"""A VQ-VAE: images through grids of codes (van den Oord et al. 2017, arXiv:1711.00937), one grid or two (VQ-VAE-2).

The first of two stages: `experiments.vq_prior` learns which grids there are. Codes start as clusters of the first
batch, follow moving averages of what chose them, and move to where the images are when nothing chooses them.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn

from experiments.common.codec import codec_experiment
from experiments.common.pixels import pixels_of
from experiments.common.vae import Prepare, cosine_adam, network_dtype
from experiments.run import ImageConfig, Options, at_least, main, require, run_single
from jaxvae.models import VQVAE, HierarchicalVQVAE
from jaxvae.nets import Conv, ImageDecoder, MapDecoder, MapEncoder
from jaxvae.quantizers import VectorQuantizer
from jaxvae.types import DataSpec, Experiment, Likelihood


@dataclass(frozen=True)
class Config(ImageConfig):
    """What shapes a run."""

    num_codes: int = 512
    """K, codes of a codebook"""
    code_dim: int = 64
    """D, channels of a code"""
    channels: tuple[int, ...] = (32, 64)
    """of the encoder, a halving of the image each"""
    num_blocks: int = 0
    """residual blocks of encoder and decoder"""
    levels: Literal[1, 2] = 1
    """grids of codes; the second one has half the height and width"""
    cosine: bool = True
    """codes and vectors of length 1, the nearest by angle"""
    through: Literal["straight_through", "rotation"] = "straight_through"
    """how the gradient gets past the choice of a code"""
    commitment_weight: float = 0.25
    """of the distance of vectors from their codes"""
    decay: float = 0.99
    """of the moving averages that the codes are"""
    restart_below: float = 0.5
    """vectors a batch, on average, below which a code moves to a vector of the batch; 0 never moves one"""
    likelihood: Literal["bernoulli", "gaussian", "logistic_mixture"] = "logistic_mixture"
    """of binarised images, of any (a density), or of 8-bit ones"""
    num_components: int = 5
    """of the mixture of logistics"""
    sigma: float = 0.1
    """of the Gaussian"""
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

    def pixels(self, spec: DataSpec) -> tuple[Likelihood, Prepare]:
        """Return the likelihood and what makes the images that it is of."""
        return pixels_of(self.likelihood, spec, num_components=self.num_components, sigma=self.sigma)

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        return replace(self, num_codes=32, code_dim=16, channels=(8, 16), steps=100, eval_every=50)


def build(config: Config, spec: DataSpec) -> Experiment:
    """Put the system together."""
    likelihood, prepare = config.pixels(spec)
    return codec_experiment(
        name="vq_vae",
        spec=spec,
        model=vqvae(config, spec, vector_quantizer(config), likelihood),
        prepare=prepare,
        optimizer=cosine_adam(config.learning_rate, config.steps),
    )


def vector_quantizer(config: Config, **changes: Any) -> VectorQuantizer:
    """Return the quantizer of a configuration, with other attributes where they are given."""
    attributes = {
        "num_codes": config.num_codes,
        "dim": config.code_dim,
        "through": config.through,
        "cosine": config.cosine,
        "commitment_weight": config.commitment_weight,
        "decay": config.decay,
        "restart_below": config.restart_below,
    }
    return VectorQuantizer(**attributes | changes)


def vqvae(config: Config, spec: DataSpec, quantizer: nn.Module, likelihood: Likelihood) -> VQVAE | HierarchicalVQVAE:
    """Return the model of a configuration; the quantizer is of `code_dim` channels."""
    dtype = network_dtype(config.precision)
    width, halved = config.channels[-1], config.channels[::-1]
    decoder = ImageDecoder(
        MapDecoder(spec.shape, halved, config.num_blocks, dtype),
        likelihood.param_shapes(spec.shape),
        dtype,
        latent_axes=3,
    )
    if config.levels == 1:
        encoder = MapEncoder(config.code_dim, config.channels, config.num_blocks, dtype)
        return VQVAE(encoder, quantizer, decoder, likelihood)
    fine = [-(-side // 2 ** len(halved)) for side in spec.shape[:2]]
    return HierarchicalVQVAE(
        encoder=nn.Sequential([MapEncoder(width, config.channels, config.num_blocks, dtype), nn.relu]),
        top_encoder=MapEncoder(config.code_dim, (width,), config.num_blocks, dtype),
        top_quantizer=quantizer,
        top_decoder=MapDecoder([2 * side for side in fine], (width, width), config.num_blocks, dtype),
        to_bottom=Conv(config.code_dim, (1, 1), dtype=dtype),
        quantizer=quantizer.clone(),
        decoder=decoder,
        likelihood=likelihood,
    )


def run(config: Config, options: Options) -> Path:
    """Train, evaluate, draw."""
    return run_single(config, build, options, "vq_vae")


if __name__ == "__main__":
    main(Config, run, __doc__)
