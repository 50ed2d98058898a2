"""VAE-GANs as systems: a VAE whose reconstructions are compared in the features of a discriminator.

The losses of the three players, encoder, generator and discriminator, are the experiment's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxvae import capabilities, distributions
from jaxvae.keys import split_each
from jaxvae.systems.adversarial_parts import GeneratorParts, HasDiscriminator, PlayerLoss
from jaxvae.systems.assemble import assembled
from jaxvae.systems.pixels import unit_pixels
from jaxvae.types import (
    Array,
    Batch,
    DataSpec,
    GaussianParams,
    Metrics,
    ModelState,
    Params,
    Player,
    PRNGKey,
    StepInput,
    System,
)


class Seen(NamedTuple):
    """What the losses of a VAE-GAN are made of, for a batch of B images."""

    judge: Callable[[Array], tuple[Array, Array]]  # images [B, H, W, C] -> logits [B], features [B, F]
    x: Array  # images, [B, H, W, C]
    reconstruction: Array  # image of a draw of q(z | x), [B, H, W, C]
    sample: Array  # image of a draw of N(0, I), [B, H, W, C]
    kl: Array  # KL(q(z | x) || N(0, I)), [B] nats


VAEGANLoss = Callable[[Seen], tuple[Array, Metrics]]  # what a player minimises, [B], and metrics [B]


class GaussianEncoder(nn.Module):
    """q(z | x) of images: features of a network, and a posterior that is read from them.

    Attributes:
      net: images [B, H, W, C] -> features [B, F].
      posterior: a `GaussianPosterior`.
    """

    net: nn.Module
    posterior: nn.Module

    def __call__(self, keys: PRNGKey, x: Array) -> tuple[Array, GaussianParams]:
        """Return a draw of q(z | x) for every image, [B, D], and q(z | x); one key an image, [B]."""
        z, _, q = self.posterior(keys, self.net(x), 1)
        return z[0], q


@dataclass(frozen=True, eq=False)
class VAEGANParts(GeneratorParts):
    """The parts of a VAE-GAN.

    Attributes:
      encoder: of q(z | x).
    """

    encoder: GaussianEncoder

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`."""
        return (
            *super().use,
            capabilities.Encodes(self.encode),
            capabilities.Infers(self.posterior),
            capabilities.DrawsPosterior(self.draw),
            HasDiscriminator(self.compare),
        )

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return parameters of the three players, and what the discriminator keeps beside."""
        of_encoder, of_generator, of_discriminator = jax.random.split(key, 3)
        x = jnp.zeros((1, *self.spec.shape))
        discriminator, model_state = self.init_discriminator(of_discriminator, x)
        params = {
            "encoder": self.encoder.init(of_encoder, jax.random.split(of_encoder, 1), x)["params"],
            "generator": self.init_generator(of_generator, batch),
            "discriminator": discriminator,
        }
        return params, model_state

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return the energy score, as of any generator, and the KL and the squared error of reconstructions."""
        noise, draw = split_each(keys)
        x = self.prepare(noise, batch.x)
        z, q = self.drawn(params, draw, x)
        errors = jnp.sum(jnp.square(self.images(params, z) - x), axis=(1, 2, 3))
        return {**super().evaluate(params, model_state, keys, batch, hparams), "kl": kl(q), "squared_error": errors}

    def drawn(self, params: Params, keys: PRNGKey, x: Array) -> tuple[Array, GaussianParams]:
        """Return draws of q(z | x) [B, D], and q(z | x), of all parameters of the system."""
        found: Any = self.encoder.apply({"params": params["encoder"]}, keys, x)
        return found

    def draw(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> tuple[Array, ...]:
        """Return latents of q(z | x): see `capabilities.DrawsPosterior`."""
        return (self.drawn(params, keys, x)[0],)

    def posterior(self, params: Params, model_state: ModelState, x: Array) -> GaussianParams:
        """Return q(z | x): see `capabilities.Infers`."""
        of_x = lambda encoder, x: encoder.posterior.params_of(encoder.net(x))  # noqa: E731
        found: Any = self.encoder.apply({"params": params["encoder"]}, x, method=of_x)
        return found

    def encode(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> tuple[Array, ...]:
        """Return posterior means: see `capabilities.Encodes`."""
        return (self.posterior(params, model_state, x).mean,)

    def compare(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> tuple[Array, Array]:
        """Return logits of images and of samples: see `HasDiscriminator`."""
        judge = self.judge(params, model_state)
        return judge(x), judge(self.images(params, self.draw_prior(keys)))

    def seen(self, params: Params, model_state: ModelState, inputs: StepInput) -> tuple[tuple[Any, ...], Array]:
        """Return images, reconstructions and samples with the discriminator: see `Plays`."""
        noise, draw, prior = split_each(inputs.keys.examples, 3)
        x = self.prepare(noise, inputs.batch.x)
        z, q = self.drawn(params, draw, x)
        found = Seen(
            judge=lambda images: self.judged(params, model_state, images),
            x=x,
            reconstruction=self.images(params, z),
            sample=self.images(params, self.draw_prior(prior)),
            kl=kl(q),
        )
        return (found,), x


def vae_gan_system(
    *,
    name: str,
    spec: DataSpec,
    encoder: GaussianEncoder,
    generator: nn.Module,
    discriminator: nn.Module,
    latent_dim: int,
    losses: Mapping[str, VAEGANLoss],
    optimizers: Mapping[str, optax.GradientTransformation],
    alternating: bool = False,
) -> System:
    """Return the system of a VAE-GAN.

    Args:
      name: of the system.
      spec: of the data.
      encoder: of q(z | x).
      generator: latents [B, D] -> logits of the pixels' means, [B, H, W, C]; an `ImageDecoder`.
      discriminator: images [B, H, W, C] -> logits [B], features [B, F]; within `nn.SpectralNorm` or not.
      latent_dim: D.
      losses: what the discriminator, the encoder and the generator minimise, by these names, in the order of turns.
      optimizers: of the three, by the same names.
      alternating: whether players move one after the other, or at once as in Larsen et al. 2016, algorithm 1.

    Returns:
      The system.
    """
    parts = VAEGANParts(spec, unit_pixels(spec), latent_dim, generator, discriminator, encoder)
    players = [
        Player(one, PlayerLoss(parts, loss, steps=one == "discriminator"), optimizers[one], owns=one.__eq__)
        for one, loss in losses.items()
    ]
    return assembled(name, parts, players, alternating=alternating)


def kl(q: GaussianParams) -> Array:
    """Return KL(q(z | x) || N(0, I)) of every image, [B] nats."""
    return jnp.sum(distributions.normal_kl_to_standard(q), axis=-1)
