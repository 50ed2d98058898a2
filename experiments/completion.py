"""Completion of images by one model for all masks: a VAE, and an encoder of masked images beside it.

The encoder r(z | known pixels) is fitted to the posteriors of the VAE under masks of every kind, quadrants, boxes and
single pixels ("posterior matching", Strauss & Oliva 2022), while the VAE is trained as if it were alone. The report has
log p(unknown | known) in nats for 1, 2 and 3 quadrants that are known, as Sohn et al. 2015 have them: the lower left
one, the left half, all but the lower right one; and beside them those of the nearest training images.
"""

from dataclasses import dataclass, replace

import flax.linen as nn

from jaxvae.flows import CouplingFlow
from jaxvae.likelihoods import bernoulli
from jaxvae.models.partial_posterior import PartialPosterior
from jaxvae.nets import MLPEncoder
from jaxvae.priors import ConditionalFlowPrior
from jaxvae.runs.config import LatentConfig, at_least
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.bounds import warmed_bound
from jaxvae.systems.networks import gaussian_vae, network_dtype
from jaxvae.systems.partial_vae import partial_vae_system
from jaxvae.systems.pixels import binary_pixels
from jaxvae.training import cosine_adam
from jaxvae.types import DataSpec, System


@dataclass(frozen=True)
class Config(LatentConfig):
    """Configuration of a VAE with an encoder of masked images."""

    hidden: int = 512
    """units in each of the two layers of the encoder of masked images"""
    num_flows: int = 6
    """coupling layers of r(z | known pixels)"""
    nll_samples: int = 1_000
    steps: int = 20_000
    warmup_steps: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "hidden", "num_flows")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, steps=1_500, eval_every=500, nll_samples=100, warmup_steps=200)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    likelihood, dim = bernoulli(), config.latent_dim
    vae = gaussian_vae(config.net, dim, likelihood, spec, precision=config.precision, activation=nn.silu)
    encoder = MLPEncoder((config.hidden, config.hidden), nn.silu, dtype=network_dtype(config.precision))
    flow = CouplingFlow(dim, config.num_flows, (128, 128), amortized=True)
    system = partial_vae_system(
        name="completion",
        spec=spec,
        vae=vae,
        partial=PartialPosterior(encoder, ConditionalFlowPrior(flow)),
        prepare=binary_pixels(spec),
        bound=warmed_bound(vae),
        optimizers=tuple(cosine_adam(config.learning_rate, config.steps) for _ in range(2)),
        hparams={"warmup_steps": config.warmup_steps},
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


if __name__ == "__main__":
    main(Config, build, __doc__)
