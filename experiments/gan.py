"""GAN: relativistic pairing with gradient penalties on both sides (R3GAN, Huang et al. 2024), a small DCGAN.

Latents of N(0, I) become images, and a discriminator learns to tell these from real ones. There is no likelihood: the
best step is that of the smallest energy score of samples on the validation images. `--loss non_saturating` is the loss
of Goodfellow et al. 2014, `--pac 2` lets the discriminator see two images at a time (PacGAN, Lin et al. 2018), against
lost modes, `--spectral-norm` is Miyato et al. 2018, often with `--r1 0 --r2 0`.
"""

from dataclasses import dataclass, replace

import jax.numpy as jnp

from jaxvae import objectives
from jaxvae.runs.adversarial_config import AdversarialConfig
from jaxvae.runs.config import at_least, require
from jaxvae.studies.cli import main
from jaxvae.systems.adversarial import gan_system
from jaxvae.systems.adversarial_networks import channels_of, image_discriminator, image_generator
from jaxvae.systems.adversarial_parts import Judge
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.networks import network_dtype
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, Metrics, System


@dataclass(frozen=True)
class Config(AdversarialConfig):
    """Configuration of a GAN."""

    pac: int = 1
    """images that the discriminator sees at a time; 2 against lost modes"""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "pac")
        divides = self.batch_size % self.pac == 0
        require("pac", self.pac, divides, f"a number that divides the {self.batch_size} images of --batch-size")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, steps=1_500, eval_every=250)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    channels, dtype = config.channels or channels_of(spec), network_dtype(config.precision)

    def discriminator_loss(judge: Judge, real: Array, fake: Array) -> tuple[Array, Metrics]:
        """The loss of a pair, and gamma / 2 |dD/dx|^2 at its real and at its made image (R1, R2)."""
        d_real, d_fake = judge(real), judge(fake)
        if config.loss == "relativistic":
            loss = objectives.relativistic_discriminator(d_real, d_fake)
        else:
            loss = objectives.non_saturating_discriminator(d_real, d_fake)
        metrics = {"told_apart": (d_real > d_fake).astype(jnp.float32)}
        for name, gamma, x in (("r1", config.r1, real), ("r2", config.r2, fake)):
            if gamma:
                metrics[name] = objectives.gradient_penalty(judge, x)
                loss += gamma * metrics[name]
        return loss, metrics

    def generator_loss(judge: Judge, real: Array, fake: Array) -> tuple[Array, Metrics]:
        """The loss of the swapped pair, or of the made image alone."""
        if config.loss == "relativistic":
            return objectives.relativistic_generator(judge(real), judge(fake)), {}
        return objectives.non_saturating_generator(judge(fake)), {}

    system = gan_system(
        name="gan",
        spec=spec,
        generator=image_generator(spec, channels, config.hidden, dtype),
        discriminator=image_discriminator(
            channels, -(-config.hidden // 2), spectral_norm=config.spectral_norm, dtype=dtype
        ),
        latent_dim=config.latent_dim,
        discriminator_loss=discriminator_loss,
        generator_loss=generator_loss,
        discriminator_optimizer=cosine_adam(config.learning_rate, config.steps, b1=0.0, b2=0.99),
        generator_optimizer=cosine_adam(config.learning_rate, config.steps, b1=0.0, b2=0.99),
        pack=config.pac,
        alternating=config.alternating,
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


if __name__ == "__main__":
    main(Config, build, __doc__)
