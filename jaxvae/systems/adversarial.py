"""Generative adversarial networks as systems; the losses of both players are the experiment's."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import optax

from jaxvae.systems.adversarial_parts import GANParts, Judge, PlayerLoss
from jaxvae.systems.assemble import assembled
from jaxvae.systems.pixels import unit_pixels
from jaxvae.types import Array, DataSpec, Metrics, Player, System

# (the discriminator, real images, made ones) -> what a player minimises, [B], metrics [B]; packs in place of images
AdversarialLoss = Callable[[Judge, Array, Array], tuple[Array, Metrics]]


def gan_system(
    *,
    name: str,
    spec: DataSpec,
    generator: nn.Module,
    discriminator: nn.Module,
    latent_dim: int,
    discriminator_loss: AdversarialLoss,
    generator_loss: AdversarialLoss,
    discriminator_optimizer: optax.GradientTransformation,
    generator_optimizer: optax.GradientTransformation,
    pack: int = 1,
    alternating: bool = False,
) -> System:
    """Return the system of a generative adversarial network.

    In a step both players see the same images and the same latents. The discriminator's turn comes first; alternating,
    the generator meets a discriminator that has moved already.

    Args:
      name: of the system.
      spec: of the data.
      generator: latents [B, D] -> logits of the pixels' means, [B, H, W, C]; an `ImageDecoder`.
      discriminator: images [B, H, W, m C] -> logits [B], features [B, F]; within `nn.SpectralNorm` or not.
      latent_dim: D, of latents of N(0, I).
      discriminator_loss: what the discriminator minimises.
      generator_loss: what the generator minimises.
      discriminator_optimizer: of the first.
      generator_optimizer: of the second.
      pack: m, images that the discriminator sees at a time.
      alternating: whether players move one after the other, or at once.

    Returns:
      The system.
    """
    parts = GANParts(spec, unit_pixels(spec), latent_dim, generator, discriminator, pack)
    losses: Any = (PlayerLoss(parts, discriminator_loss, steps=True), PlayerLoss(parts, generator_loss, steps=False))
    optimizers = discriminator_optimizer, generator_optimizer
    players = [
        Player(one, loss, optimizer, owns=one.__eq__)
        for one, loss, optimizer in zip(("discriminator", "generator"), losses, optimizers, strict=True)
    ]
    return assembled(name, parts, players, alternating=alternating)
