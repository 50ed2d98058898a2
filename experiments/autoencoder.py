"""An autoencoder: images through a code of few, sparse or smooth numbers, or back from corrupted images.

Dense or convolutional, its layers in pairs up and down, which may share their weights. With `--noise` it is a denoising
autoencoder (Vincent et al. 2010), with `--sparsity` a sparse and with `--contraction-weight` a contractive one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp

from experiments.common.autoencoder import (
    NoiseName,
    Penalty,
    autoencoder_experiment,
    check_noise,
    corruption_of,
    loss_of,
)
from experiments.common.vae import cosine_adam, network_dtype
from experiments.run import ImageConfig, Options, at_least, main, require, run_single
from jaxvae.models import Autoencoder, ConvPair, DensePair
from jaxvae.penalties import contraction, kl_sparsity, l1_sparsity
from jaxvae.types import Array, DataSpec, Experiment, Params

Net = Literal["dense", "conv"]
ActivationName = Literal["relu", "sigmoid", "tanh"]
ACTIVATIONS = {"relu": nn.relu, "sigmoid": nn.sigmoid, "tanh": nn.tanh}


@dataclass(frozen=True)
class Config(ImageConfig):
    """What shapes a run."""

    net: Net = "conv"
    """layers between the images and the code"""
    hidden: tuple[int, ...] = (32, 64)
    """their widths: units of dense layers, channels of convolutions, which halve the image each"""
    latent_dim: int = 32
    """numbers of a code, by a last dense layer without activation; 0 leaves that out, and the last width is the code"""
    activation: ActivationName = "relu"
    """after every hidden layer"""
    tied: bool = False
    """whether every layer down has the weights of the layer up, transposed"""
    loss: Literal["bce", "mse"] = "bce"
    """cross-entropy of intensities, or squared errors, summed over pixels"""
    noise: NoiseName = "none"
    """what corrupts the images that the encoder sees"""
    noise_level: float = 0.25
    """its standard deviation, or the probability that a pixel is changed"""
    sparsity: Literal["none", "l1", "kl"] = "none"
    """penalty of the code: the sum of its sizes, or how far mean activations of sigmoid units are from a target"""
    sparsity_weight: float = 0.1
    """of that penalty"""
    sparsity_target: float = 0.05
    """the mean activation that is wanted"""
    contraction_weight: float = 0.0
    """of the squared Jacobian of the encoder"""
    last_alone: bool = False
    """only the last pair of layers learns, to bring back what those below give: a phase of stacked_autoencoder"""
    steps: int = 4_000

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "latent_dim", "sparsity_weight", "contraction_weight")
        layers = len(self.hidden) + bool(self.latent_dim)
        sound = min(self.hidden, default=1) >= 1 and layers >= 1
        require("hidden", self.hidden, sound, "widths of at least 1, or a --latent-dim")
        check_noise(self.noise, self.noise_level)
        in_unit = self.sparsity != "kl" or (self.activation == "sigmoid" and not self.latent_dim)
        require("sparsity", self.sparsity, in_unit, "another one, or sigmoid units and --latent-dim 0")
        require("sparsity_target", self.sparsity_target, 0 < self.sparsity_target < 1, "above 0 and below 1")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        return replace(self, hidden=(8,), latent_dim=4, steps=100, eval_every=50)


def build(config: Config, spec: DataSpec, below: Params = None) -> Experiment:
    """Put the system together, to start from the parameters of some of its pairs."""
    return autoencoder_experiment(
        name="autoencoder",
        spec=spec,
        model=autoencoder(config, spec),
        optimizer=cosine_adam(config.learning_rate, config.steps),
        corrupt=corruption_of(config.noise, config.noise_level),
        penalty=penalty_of(config),
        last_alone=config.last_alone,
        below=below,
    )


def autoencoder(config: Config, spec: DataSpec) -> Autoencoder:
    """Return the model of a configuration."""
    pairs: list[DensePair | ConvPair] = []
    shape = tuple(spec.shape)
    activation, dtype = ACTIVATIONS[config.activation], network_dtype(config.precision)
    for width in config.hidden:
        pair = (DensePair if config.net == "dense" else ConvPair)(shape, width, activation, config.tied, dtype)
        pairs.append(pair)
        shape = pair.code_shape
    if config.latent_dim:
        pairs.append(DensePair(shape, config.latent_dim, _identity, config.tied, dtype))
    return Autoencoder(pairs, loss_of(config.loss))


def penalty_of(config: Config) -> Penalty | None:
    """Return the penalty of a configuration, weighted, if there is any."""
    if config.sparsity == "none" and not config.contraction_weight:
        return None

    def penalty(encode: Callable[[Array], Array], x: Array, h: Array, axis_name: str | None) -> Array:
        total = jnp.zeros(len(h))
        if config.sparsity == "l1":
            total += config.sparsity_weight * l1_sparsity(h)
        elif config.sparsity == "kl":
            total += config.sparsity_weight * kl_sparsity(h.reshape(len(h), -1), config.sparsity_target, axis_name)
        if config.contraction_weight:
            total += config.contraction_weight * contraction(encode, x)
        return total

    return penalty


def run(config: Config, options: Options) -> Path:
    """Train, evaluate, draw."""
    return run_single(config, build, options, "autoencoder")


# ---------- private


def _identity(h: Array) -> Array:
    return h


if __name__ == "__main__":
    main(Config, run, __doc__)
