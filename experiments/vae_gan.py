"""VAE-GAN: a VAE that reconstructs in the features of a discriminator in place of pixels (Larsen et al. 2016).

Three players move at once: the encoder lowers the KL and the reconstruction error, the generator the reconstruction
error and what gives its images away, the discriminator tells reconstructions and samples from images. Its last maps are
the features. The losses of the discriminator are those of `gan`, of `--loss non_saturating` the paper's.
"""

from dataclasses import dataclass, replace

import jax.numpy as jnp

from jaxvae import objectives
from jaxvae.posteriors import GaussianPosterior
from jaxvae.runs.adversarial_config import AdversarialConfig
from jaxvae.runs.config import at_least
from jaxvae.studies.cli import main
from jaxvae.systems.adversarial_networks import channels_of, image_discriminator, image_encoder, image_generator
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.networks import network_dtype
from jaxvae.systems.vae_gan import GaussianEncoder, Seen, vae_gan_system
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, Metrics, System


@dataclass(frozen=True)
class Config(AdversarialConfig):
    """Configuration of a VAE-GAN."""

    latent_dim: int = 16
    kl_weight: float = 0.2
    """weight of the KL in the encoder's loss"""
    reconstruction_weight: float = 0.1
    """weight of the reconstruction error in the generator's loss, beside what the discriminator says"""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "kl_weight", "reconstruction_weight")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, steps=1_000, eval_every=250)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    channels, dtype = config.channels or channels_of(spec), network_dtype(config.precision)

    def feature_error(seen: Seen) -> Array:
        """-log N(f(x) | f(reconstruction), I), f the features of the discriminator."""
        return objectives.feature_error(seen.judge(seen.reconstruction)[1], seen.judge(seen.x)[1])

    def discriminator_loss(seen: Seen) -> tuple[Array, Metrics]:
        """The loss of images against reconstructions and against samples, and R1 and R2."""
        judge = lambda images: seen.judge(images)[0]  # noqa: E731
        real, made = judge(seen.x), (seen.reconstruction, seen.sample)
        if config.loss == "relativistic":
            loss = sum(0.5 * objectives.relativistic_discriminator(real, judge(images)) for images in made)
        else:
            loss = sum(0.5 * objectives.non_saturating_discriminator(real, judge(images)) for images in made)
        if config.r1:
            loss += config.r1 * objectives.gradient_penalty(judge, seen.x)
        if config.r2:
            loss += config.r2 * sum(0.5 * objectives.gradient_penalty(judge, images) for images in made)
        return loss, {"told_apart": (real > judge(seen.sample)).astype(jnp.float32)}

    def encoder_loss(seen: Seen) -> tuple[Array, Metrics]:
        """The bound of a VAE with the error of features in place of pixels."""
        error = feature_error(seen)
        return config.kl_weight * seen.kl + error, {"kl": seen.kl, "feature_error": error}

    def generator_loss(seen: Seen) -> tuple[Array, Metrics]:
        """The error of features, and what the discriminator says of reconstructions and samples."""
        real, made = seen.judge(seen.x)[0], [seen.judge(images)[0] for images in (seen.reconstruction, seen.sample)]
        if config.loss == "relativistic":
            deceived = sum(0.5 * objectives.relativistic_generator(real, logits) for logits in made)
        else:
            deceived = sum(0.5 * objectives.non_saturating_generator(logits) for logits in made)
        return config.reconstruction_weight * feature_error(seen) + deceived, {}

    losses = {"discriminator": discriminator_loss, "encoder": encoder_loss, "generator": generator_loss}
    system = vae_gan_system(
        name="vae_gan",
        spec=spec,
        encoder=GaussianEncoder(image_encoder(channels, config.hidden, dtype), GaussianPosterior(config.latent_dim)),
        generator=image_generator(spec, channels, config.hidden, dtype),
        discriminator=image_discriminator(
            channels, -(-config.hidden // 2), spectral_norm=config.spectral_norm, dtype=dtype
        ),
        latent_dim=config.latent_dim,
        losses=losses,
        optimizers={name: cosine_adam(config.learning_rate, config.steps, b1=0.0, b2=0.99) for name in losses},
        alternating=config.alternating,
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


if __name__ == "__main__":
    main(Config, build, __doc__)
