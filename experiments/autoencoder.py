"""Autoencoders: undercomplete, denoising, sparse or contractive; dense or convolutional, with tied weights or not.

With `--noise` it is a denoising autoencoder (Vincent et al. 2010), with `--sparsity` a sparse and with
`--contraction-weight` a contractive one (Rifai et al. 2011). Encoder and decoder are mirror images: pairs of layers.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp

from jaxvae.likelihoods import bernoulli, squared_error
from jaxvae.models import Autoencoder, ConvPair, DensePair
from jaxvae.models.autoencoder import identity
from jaxvae.penalties import contraction, kl_sparsity, l1_sparsity
from jaxvae.runs.config import AugmentedConfig, at_least, require
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.autoencoder import autoencoder_system
from jaxvae.systems.corruption import NoiseName, check_noise, make_corruption
from jaxvae.systems.networks import network_dtype
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, Params, System

Net = Literal["dense", "conv"]
ActivationName = Literal["relu", "sigmoid", "tanh"]
ACTIVATIONS = {"relu": nn.relu, "sigmoid": nn.sigmoid, "tanh": nn.tanh}
LOSSES = {"bce": bernoulli, "mse": squared_error}


@dataclass(frozen=True)
class Config(AugmentedConfig):
    """Configuration of an autoencoder."""

    net: Net = "conv"
    """type of the hidden layers"""
    hidden: tuple[int, ...] = (32, 64)
    """widths of the hidden layers: units of dense layers, channels of convolutions of stride 2"""
    latent_dim: int = 32
    """dimensions of the code, a last dense layer without activation; 0 makes the last hidden layer the code"""
    activation: ActivationName = "relu"
    """activation of the hidden layers"""
    tied: bool = False
    """tied weights: the decoder's are the encoder's, transposed"""
    loss: Literal["bce", "mse"] = "bce"
    """reconstruction loss, summed over pixels: cross-entropy (bce) or squared error (mse)"""
    noise: NoiseName = "none"
    """corruption of the encoder's input"""
    noise_level: float = 0.25
    """standard deviation of Gaussian noise, or probability that a pixel is corrupted"""
    sparsity: Literal["none", "l1", "kl"] = "none"
    """sparsity penalty on the code: its L1 norm, or the KL of mean activations of sigmoid units from a target"""
    sparsity_weight: float = 0.1
    """weight of the sparsity penalty"""
    sparsity_target: float = 0.05
    """target of the mean activation"""
    contraction_weight: float = 0.0
    """weight of the contractive penalty, the squared Frobenius norm of the encoder's Jacobian"""
    last_alone: bool = False
    """train the last pair of layers alone, on the codes of those below: a phase of stacked_autoencoder"""
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
        """Return a copy for a short run, of a minute or so."""
        return replace(self, hidden=(8, 16), latent_dim=16, steps=300, eval_every=100)


def build(config: Config, spec: DataSpec, pretrained: Params = None) -> System:
    """Build the system, with the parameters of pre-trained pairs if given.

    The loss is -log p(x | code of the corrupted x) + penalty of the code.
    """
    system = autoencoder_system(
        name="autoencoder",
        spec=spec,
        model=autoencoder(config, spec),
        optimizer=cosine_adam(config.learning_rate, config.steps),
        corrupt=make_corruption(config.noise, config.noise_level),
        penalty=functools.partial(penalty, config) if has_penalty(config) else None,
        last_alone=config.last_alone,
        pretrained=pretrained,
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


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
        pairs.append(DensePair(shape, config.latent_dim, identity, config.tied, dtype))
    return Autoencoder(pairs, LOSSES[config.loss]())


def has_penalty(config: Config) -> bool:
    """Whether the code of a configuration has a penalty."""
    return config.sparsity != "none" or config.contraction_weight > 0


def penalty(config: Config, encode: Callable[[Array], Array], x: Array, h: Array, axis_name: str | None) -> Array:
    """Return the weighted penalty on codes h of images x, [B]: sparsity and contraction."""
    total = jnp.zeros(len(h))
    if config.sparsity == "l1":
        total += config.sparsity_weight * l1_sparsity(h)
    elif config.sparsity == "kl":
        total += config.sparsity_weight * kl_sparsity(h.reshape(len(h), -1), config.sparsity_target, axis_name)
    if config.contraction_weight:
        total += config.contraction_weight * contraction(encode, x)
    return total


if __name__ == "__main__":
    main(Config, build, __doc__)
