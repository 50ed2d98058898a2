"""VAE for grey and colour images, photographs for example: 8-bit values, residual nets and a learned prior.

The likelihood is a mixture of discretised logistics for every pixel (Salimans et al. 2017), so that numbers are nats of
the images as they are, and bits/dim can be compared with those of other models and of image files. Samples are shown
twice: pixels drawn from p(x | z), which are independent given z and so have noise, and their means, which have none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import flax.linen as nn

from jaxvae.errors import UserError
from jaxvae.runs.config import OneGroupConfig, at_least
from jaxvae.runs.options import Options
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.bounds import warmed_bound
from jaxvae.systems.networks import Net, gaussian_vae
from jaxvae.systems.pixels import pixels_of
from jaxvae.systems.refit import with_refitted_prior
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import OptimizerName, cosine_optimizer
from jaxvae.types import DataSpec, Splits, System

SMALLEST_MAP, LARGEST_WITH_BLOCKS = 8, 16  # pixels a side: blocks on larger maps would take most of the time
CHANNELS, LEAST_CHANNELS = 96, 12  # of the smallest map, halved with every doubling of the side


@dataclass(frozen=True)
class Config(OneGroupConfig):
    """Configuration of a VAE of grey or colour images."""

    default_size: ClassVar[int] = 64

    net: Net = "resnet"
    channels: tuple[int, ...] = ()
    """channels, of each halving of the image; by default as many halvings as lead to 8 pixels, the last one of 96"""
    num_blocks: tuple[int, ...] = ()
    """residual blocks per halving, one number for all or one for each; by default one where the map has 16 pixels"""
    latent_dim: int = 64
    num_components: int = 1
    """logistics in the mixture of every pixel"""
    class_conditional: bool = False
    """condition encoder, decoder and the prior realnvp on the class: p(x | class)"""
    nll_samples: int = 100
    warmup_steps: int = 500
    optimizer: OptimizerName = "adamax"
    learning_rate: float = 2e-3
    clip_norm: float | None = 200.0
    steps: int = 5_000
    batch_size: int = 32
    eval_every: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "num_components")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        small = {"channels": (8, 16), "num_blocks": (0, 1), "latent_dim": 32, "nll_samples": 20}
        return replace(self, **small, steps=3_000, eval_every=500, warmup_steps=100)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    likelihood, prepare = pixels_of("logistic_mixture", spec, num_components=config.num_components)
    config = with_networks_by_size(config, spec)
    options = {"activation": nn.silu, "class_conditional": config.class_conditional}
    vae = gaussian_vae(likelihood=likelihood, spec=spec, **options, **config.networks())
    system = vae_system(
        name="image_vae",
        spec=spec,
        vae=vae,
        prepare=prepare,
        bound=warmed_bound(vae, config.dropout),
        optimizer=cosine_optimizer(config.optimizer, config.learning_rate, config.steps, config.weight_decay),
        hparams={"warmup_steps": config.warmup_steps},
    )
    return with_refitted_prior(augmented(system, shift=config.shift, flip=config.flip, steps=config.steps))


def with_networks_by_size(config: Config, spec: DataSpec) -> Config:
    """Return a configuration with the channels and blocks that suit the images, where none are given."""
    sides = [-(-min(spec.shape[:2]) // 2)]
    while sides[-1] > SMALLEST_MAP:
        sides.append(-(-sides[-1] // 2))
    widths = tuple(max(LEAST_CHANNELS, CHANNELS >> i) for i in reversed(range(len(sides))))
    channels = config.channels or widths
    num_blocks = tuple(int(side <= LARGEST_WITH_BLOCKS) for side in sides) if channels == widths else (1,)
    return replace(config, channels=channels, num_blocks=config.num_blocks or num_blocks)


def check(configs: Sequence[Config], options: Options, splits: Splits, spec: DataSpec) -> None:
    """Raise a `UserError` for binary images, which have an experiment of their own."""
    if spec.num_values == 2:
        raise UserError(
            "These images are binary, black and white alone: expected grey or colour ones; python -m "
            "experiments.binary_vae is of these."
        )


if __name__ == "__main__":
    main(Config, build, __doc__, check=check)
