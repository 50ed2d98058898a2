"""Adversarial autoencoders as systems: a discriminator makes the codes of images look like draws of N(0, I).

The losses of both players, the autoencoder and the discriminator of codes, are the experiment's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxvae import capabilities
from jaxvae.keys import split_each
from jaxvae.likelihoods import bernoulli
from jaxvae.likelihoods.scoring import perfect_pixels, score_images, score_pixels
from jaxvae.systems.adversarial_parts import GeneratorParts, HasDiscriminator, Judge, PlayerLoss
from jaxvae.systems.assemble import assembled
from jaxvae.systems.pixels import unit_pixels
from jaxvae.types import Array, Batch, DataSpec, Metrics, ModelState, Params, Player, PRNGKey, StepInput, System

AUTOENCODER = ("encoder", "generator")  # whose parameters are one player's


class Coded(NamedTuple):
    """What the losses of an adversarial autoencoder are made of, for a batch of B images."""

    judge: Judge  # codes [B, D] -> logits [B], larger for what is taken for a draw of the prior
    log_px: Array  # log p(x | code of x), [B] nats
    prior: Array  # draws of N(0, I), [B, D]
    code: Array  # of the images, [B, D]


AutoencoderLoss = Callable[[Coded], tuple[Array, Metrics]]  # what a player minimises, [B], and metrics [B]


@dataclass(frozen=True, eq=False)
class AdversarialAutoencoderParts(GeneratorParts):
    """The parts of an adversarial autoencoder, whose generator is its decoder.

    Attributes:
      encoder: images [B, H, W, C] -> codes [B, D].
    """

    encoder: nn.Module

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`."""
        return (
            *super().use,
            capabilities.Encodes(self.encode),
            capabilities.ScoresPixels(self.log_pixels, self.perfect),
            HasDiscriminator(self.compare),
        )

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return parameters of the autoencoder and the discriminator, and what that keeps beside."""
        of_encoder, of_generator, of_discriminator = jax.random.split(key, 3)
        discriminator, model_state = self.init_discriminator(of_discriminator, jnp.zeros((1, self.latent_dim)))
        params = {
            "encoder": self.encoder.init(of_encoder, jnp.zeros((1, *self.spec.shape)))["params"],
            "generator": self.init_generator(of_generator, batch),
            "discriminator": discriminator,
        }
        return params, model_state

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return the energy score, as of any generator, and the reconstruction error -log p(x | code), nats."""
        noise, _ = split_each(keys)
        x = self.prepare(noise, batch.x)
        logits = self.logits(params, self.code(params, x))
        score = super().evaluate(params, model_state, keys, batch, hparams)
        return {**score, "reconstruction": -score_images(bernoulli(), logits, x)}

    def code(self, params: Params, x: Array) -> Array:
        """Return the codes of images, of all parameters of the system: [B, H, W, C] -> [B, D]."""
        found: Any = self.encoder.apply({"params": params["encoder"]}, x)
        return found

    def encode(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> tuple[Array, ...]:
        """Return codes: see `capabilities.Encodes`."""
        return (self.code(params, x),)

    def log_pixels(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
        """Return log p(x_ij | code of x): see `capabilities.ScoresPixels`."""
        return score_pixels(bernoulli(), self.logits(params, self.code(params, x)), x)

    def perfect(self, x: Array) -> Array:
        """Return log p(x_ij) of a perfect reconstruction: see `capabilities.ScoresPixels`."""
        return perfect_pixels(bernoulli(), x)

    def compare(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> tuple[Array, Array]:
        """Return logits of draws of the prior and of codes: see `HasDiscriminator`."""
        judge = self.judge(params, model_state)
        return judge(self.draw_prior(keys)), judge(self.code(params, x))

    def seen(self, params: Params, model_state: ModelState, inputs: StepInput) -> tuple[tuple[Any, ...], Array]:
        """Return codes, draws of the prior and log p(x | code) with the discriminator: see `Plays`."""
        noise, draw = split_each(inputs.keys.examples)
        x = self.prepare(noise, inputs.batch.x)
        code, prior = self.code(params, x), self.draw_prior(draw)
        log_px = score_images(bernoulli(), self.logits(params, code), x)
        return (Coded(self.judge(params, model_state), log_px, prior, code),), prior


def adversarial_autoencoder_system(
    *,
    name: str,
    spec: DataSpec,
    encoder: nn.Module,
    generator: nn.Module,
    discriminator: nn.Module,
    latent_dim: int,
    discriminator_loss: AutoencoderLoss,
    autoencoder_loss: AutoencoderLoss,
    discriminator_optimizer: optax.GradientTransformation,
    autoencoder_optimizer: optax.GradientTransformation,
    alternating: bool = False,
) -> System:
    """Return the system of an adversarial autoencoder.

    The encoder has two tasks, to let the decoder reconstruct and to deceive the discriminator. Makhzani et al. 2016
    take a step for each, one after the other; here the losses are added, so that every parameter has one owner.

    Args:
      name: of the system.
      spec: of the data.
      encoder: images [B, H, W, C] -> codes [B, D].
      generator: the decoder, codes [B, D] -> logits of the pixels' means, [B, H, W, C]; an `ImageDecoder`.
      discriminator: codes [B, D] -> logits [B], features [B, F]; within `nn.SpectralNorm` or not.
      latent_dim: D.
      discriminator_loss: what the discriminator minimises.
      autoencoder_loss: what encoder and decoder minimise.
      discriminator_optimizer: of the first.
      autoencoder_optimizer: of the second.
      alternating: whether players move one after the other, or at once.

    Returns:
      The system.
    """
    parts = AdversarialAutoencoderParts(spec, unit_pixels(spec), latent_dim, generator, discriminator, encoder)
    players = [
        Player(
            "discriminator",
            PlayerLoss(parts, discriminator_loss, steps=True),
            discriminator_optimizer,
            owns="discriminator".__eq__,
        ),
        Player(
            "autoencoder",
            PlayerLoss(parts, autoencoder_loss, steps=False),
            autoencoder_optimizer,
            owns=AUTOENCODER.__contains__,
        ),
    ]
    return assembled(name, parts, players, alternating=alternating)
