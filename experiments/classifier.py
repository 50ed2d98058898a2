"""Image classifier: a small residual network, of the kind that judges whether samples are recognisable.

With `--binarize` it sees images as a VAE of binary images does, drawn anew at every visit with the intensities as
probabilities.
"""

from dataclasses import dataclass, replace

import flax.linen as nn

from jaxvae.errors import UserError
from jaxvae.nets import MLP, ResNetEncoder
from jaxvae.runs.config import AugmentedConfig, at_least, require
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.classifier import NetworkParts, classifier_system
from jaxvae.systems.networks import network_dtype
from jaxvae.systems.pixels import binary_pixels, unchanged, unit_pixels
from jaxvae.training import cosine_optimizer
from jaxvae.types import DataSpec, System


@dataclass(frozen=True)
class Config(AugmentedConfig):
    """Configuration of an image classifier."""

    channels: tuple[int, ...] = (16, 32)
    """channels, of each halving of the image"""
    num_blocks: int = 1
    """residual blocks per halving"""
    features: int = 64
    """units of the last hidden layer"""
    binarize: bool = False
    """whether images are binarised anew at every visit, with their intensity as the probability of a one"""
    weight_decay: float = 0.0
    """weight decay, times the learning rate"""
    shift: int | None = None
    """data augmentation: pixels by which training images are moved at random; by default the more the fewer they are"""
    ema_decay: float = 0.999
    steps: int = 6_000
    eval_every: int = 1_000

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "features")
        at_least(self, 0, "num_blocks", "weight_decay")
        require("channels", self.channels, min(self.channels, default=0) >= 1, "at least one, of at least 1")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, channels=(8, 16), features=32, steps=600, eval_every=200)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system, whose loss is the cross-entropy -log q(class | x)."""
    if spec.num_classes < 2:
        raise UserError(
            f"A classifier needs images of two classes or more, these have {spec.num_classes or 'none'}: choose other "
            "--data."
        )
    dtype = network_dtype(config.precision)
    net = nn.Sequential(
        [ResNetEncoder(config.channels, config.num_blocks, dtype=dtype), MLP((config.features,), nn.silu, dtype=dtype)]
    )
    system = classifier_system(
        name="classifier",
        spec=spec,
        encoder=NetworkParts(spec, net, (binary_pixels if config.binarize else unit_pixels)(spec)),
        variables=None,
        optimizer=cosine_optimizer("adam", config.learning_rate, config.steps, config.weight_decay),
        corrupt=unchanged,
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


if __name__ == "__main__":
    main(Config, build, __doc__)
