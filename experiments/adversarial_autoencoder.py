"""Adversarial autoencoder: a discriminator makes the codes of images look like draws of N(0, I) (Makhzani et al. 2016).

The autoencoder lowers its reconstruction error and deceives a discriminator of codes, which takes the place of a VAE's
KL: the codes of all images together are to be as the prior, those of one image may be a point. Decoded draws of the
prior are new images.
"""

from dataclasses import dataclass, replace

import flax.linen as nn
import jax.numpy as jnp

from jaxvae import objectives
from jaxvae.runs.adversarial_config import AdversarialConfig
from jaxvae.runs.config import at_least
from jaxvae.studies.cli import main
from jaxvae.systems.adversarial_autoencoder import Coded, adversarial_autoencoder_system
from jaxvae.systems.adversarial_networks import channels_of, code_discriminator, image_encoder, image_generator
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.networks import network_dtype
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, Metrics, System


@dataclass(frozen=True)
class Config(AdversarialConfig):
    """Configuration of an adversarial autoencoder."""

    latent_dim: int = 8
    r1: float = 0.1
    r2: float = 0.1
    adversarial_weight: float = 10.0
    """weight of what the discriminator says of codes, beside the reconstruction error in nats per image"""
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "adversarial_weight")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, steps=1_500, eval_every=250)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    channels, dtype = config.channels or channels_of(spec), network_dtype(config.precision)

    def discriminator_loss(coded: Coded) -> tuple[Array, Metrics]:
        """The loss of draws of the prior against codes, and R1 and R2."""
        prior, code = coded.judge(coded.prior), coded.judge(coded.code)
        if config.loss == "relativistic":
            loss = objectives.relativistic_discriminator(prior, code)
        else:
            loss = objectives.non_saturating_discriminator(prior, code)
        for gamma, z in ((config.r1, coded.prior), (config.r2, coded.code)):
            if gamma:
                loss += gamma * objectives.gradient_penalty(coded.judge, z)
        return loss, {"told_apart": (prior > code).astype(jnp.float32)}

    def autoencoder_loss(coded: Coded) -> tuple[Array, Metrics]:
        """The reconstruction error -log p(x | code), and what gives codes away."""
        prior, code = coded.judge(coded.prior), coded.judge(coded.code)
        if config.loss == "relativistic":
            deceived = objectives.relativistic_generator(prior, code)
        else:
            deceived = objectives.non_saturating_generator(code)
        return config.adversarial_weight * deceived - coded.log_px, {"reconstruction": -coded.log_px}

    system = adversarial_autoencoder_system(
        name="adversarial_autoencoder",
        spec=spec,
        encoder=nn.Sequential([image_encoder(channels, config.hidden, dtype), nn.Dense(config.latent_dim)]),
        generator=image_generator(spec, channels, config.hidden, dtype),
        discriminator=code_discriminator(
            (config.hidden, config.hidden), spectral_norm=config.spectral_norm, dtype=dtype
        ),
        latent_dim=config.latent_dim,
        discriminator_loss=discriminator_loss,
        autoencoder_loss=autoencoder_loss,
        discriminator_optimizer=cosine_adam(config.learning_rate, config.steps, b1=0.5, b2=0.99),
        autoencoder_optimizer=cosine_adam(config.learning_rate, config.steps, b1=0.5, b2=0.99),
        alternating=config.alternating,
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


if __name__ == "__main__":
    main(Config, build, __doc__)
