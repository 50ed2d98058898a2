"""Autoregressive models of images with an exact likelihood: PixelCNN, PixelRNN or a causal Transformer.

log p(x) = sum_i log p(x_i | x_1, ..., x_{i-1})   (van den Oord et al. 2016, arXiv:1601.06759 and arXiv:1606.05328;
Chen et al. 2020). Images are binarised anew at every visit, and blocks of 2x2 binary pixels are one token of 16 values,
which is the same likelihood at a quarter of the positions; or they keep their 8 bits, under a softmax or a mixture of
logistics.
"""

from dataclasses import dataclass, replace
from typing import Literal

import flax.linen as nn

from jaxvae import likelihoods
from jaxvae.errors import UserError
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.runs.config import AugmentedConfig, at_least, require
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.autoregressive_parts import autoregressive_system
from jaxvae.systems.networks import AutoregressiveNetName, autoregressive_net, network_dtype
from jaxvae.systems.pixels import pixels_of
from jaxvae.systems.tokens import block_tokens, pixel_tokens
from jaxvae.training import cosine_adam
from jaxvae.types import DataSpec, System


@dataclass(frozen=True)
class Config(AugmentedConfig):
    """Configuration of an autoregressive model."""

    net: AutoregressiveNetName = "pixelcnn"
    """architecture of the network"""
    features: int = 32
    """channels of its layers"""
    num_layers: int = 6
    """layers of the network"""
    num_heads: int = 4
    """attention heads of the transformer"""
    likelihood: Literal["bernoulli", "categorical", "logistic_mixture"] = "bernoulli"
    """pixel distribution: bernoulli of binarised images; categorical or logistic_mixture of 8-bit images"""
    block: int = 2
    """side of the blocks of binary pixels that form one token"""
    num_components: int = 10
    """components of the logistic mixture"""
    class_conditional: bool = False
    """condition on the class: p(x | class)"""
    learning_rate: float = 2e-3
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "features", "num_layers", "num_heads", "num_components")
        require("block", self.block, self.block in (1, 2), "1 or 2")
        divides = self.net != "transformer" or self.features % self.num_heads == 0
        require("num_heads", self.num_heads, divides, "a divisor of --features")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, features=24, num_layers=3, learning_rate=5e-3, steps=400, eval_every=100)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    if config.class_conditional and not spec.num_classes:
        raise UserError("--class-conditional needs labels, which these data do not have: choose another --data.")
    likelihood, prepare = pixels_of(config.likelihood, spec, num_components=config.num_components)
    in_blocks = config.likelihood == "bernoulli" and config.block > 1
    tokens = block_tokens(spec, config.block) if in_blocks else pixel_tokens(spec)
    if in_blocks:
        likelihood = likelihoods.categorical(tokens.num_codes)
    in_features, dtype = (config.features if in_blocks else spec.shape[-1]), network_dtype(config.precision)
    size = (tokens.shape[0], tokens.shape[1])
    net = autoregressive_net(config.net, in_features, size, config.features, config.num_layers, config.num_heads, dtype)
    decoder = AutoregressiveDecoder(  # the parameters of every p(x_i | x_1, ..., x_{i-1}) in one pass
        net,
        likelihood.param_shapes(tokens.shape),
        num_codes=tokens.num_codes,
        embed_features=in_features,
        context=nn.Embed(spec.num_classes, config.features) if config.class_conditional else None,
        latent_axes=0,
        dtype=dtype,
    )
    system = autoregressive_system(  # maximises log p(x), the sum of their logarithms
        name="pixel_cnn",
        spec=spec,
        decoder=decoder,
        likelihood=likelihood,
        tokens=tokens,
        prepare=prepare,
        optimizer=cosine_adam(config.learning_rate, config.steps),
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


if __name__ == "__main__":
    main(Config, build, __doc__)
