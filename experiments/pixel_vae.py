"""VAEs whose decoder ends in a few layers of a PixelCNN, beside the same VAE with independent pixels: PixelVAE.

What the pixels say of each other need not go through the latent (Gulrajani et al. 2017, arXiv:1611.05013), down to a
latent that says nothing: KL, active units and mutual information stand beside the likelihood. Against the collapse
there are a warm-up of the KL, free bits, and few layers, which see only the neighbourhood of a pixel.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import flax.linen as nn

from experiments.common.compare import ComparisonConfig, compare_choices, variant_experiment
from experiments.common.pixels import pixels_of
from experiments.common.vae import Net, closed_bound, gaussian_vae, network_dtype
from experiments.run import Options, at_least, main, require
from jaxvae.nets import MLP, AutoregressiveDecoder, ConvDecoder, Double, PixelCNN
from jaxvae.types import DataSpec, Experiment


@dataclass(frozen=True)
class Config(ComparisonConfig):
    """What shapes a run."""

    num_layers: tuple[int, ...] = (0, 2)
    """layers of the decoder's PixelCNN to compare, 0 for independent pixels; gains are over the first"""
    features: int = 16
    """channels of the PixelCNN, and of the map that z gives it"""
    first_reach: int = 2
    """pixels that its first layer sees each way; each further layer sees one more"""
    free_bits: float = 0.0
    """nats per dimension below which the KL is not lowered"""
    likelihood: Literal["bernoulli", "logistic_mixture"] = "bernoulli"
    """of binarised images, or of 8-bit ones"""
    num_components: int = 5
    """of the mixture of logistics"""
    hidden: int = 256
    """units of the dense layer on both sides of the latent"""
    num_seeds: int = 1
    net: Net = "conv"
    latent_dim: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        sound = 0 < len(self.num_layers) == len(set(self.num_layers)) and min(self.num_layers) >= 0
        require("num_layers", self.num_layers, sound, "different numbers of at least 0")
        same = self.net == "conv" or self.num_layers == (0,)
        require("net", self.net, same, "conv, whose decoder makes the map under a PixelCNN")
        at_least(self, 1, "features", "first_reach", "num_components", "hidden")
        at_least(self, 0, "free_bits")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        return replace(self, num_layers=(0, 1), features=4, steps=100, eval_every=50, nll_samples=5)


def build(config: Config, spec: DataSpec) -> Experiment:
    """Put the system of one number of layers together, the first of the list."""
    likelihood, prepare = pixels_of(config.likelihood, spec, num_components=config.num_components)
    vae = gaussian_vae(
        config.net, config.latent_dim, likelihood, spec, precision=config.precision, hidden=config.hidden
    )
    if config.num_layers[0]:
        dtype, size = network_dtype(config.precision), (spec.shape[0], spec.shape[1])
        to_map = [
            MLP((config.hidden,), dtype=dtype),
            ConvDecoder((64, 32), spec.shape, dtype=dtype),
            Double(config.features, size),
        ]
        net = PixelCNN(spec.shape[-1], config.features, config.num_layers[0], config.first_reach, dtype)
        shapes = likelihood.param_shapes(spec.shape)
        decoder = AutoregressiveDecoder(net, shapes, context=nn.Sequential(to_map), dtype=dtype)
        vae = vae.clone(decoder=decoder)
    hparams = {"warmup_cycles": 1, "free_bits": config.free_bits}
    return variant_experiment("pixel_vae", config, spec, vae, closed_bound(vae), prepare, **hparams)


def run(config: Config, options: Options) -> Path:
    """Train every number of layers with every seed and state what it gains over the first."""
    return compare_choices("pixel_vae", config, build, options, "num_layers", "layers=")


if __name__ == "__main__":
    main(Config, run, __doc__)
