"""Losses of a generator and a discriminator, and what is added to the discriminator's so that the two converge.

A discriminator gives one logit for every image, or for every pack of images, larger where it takes them for real. Here
logits become losses, smaller is better, one number for each: nothing is averaged over the batch. Real and made images
come in pairs of no meaning, the i-th of one batch with the i-th of the other.

References:
  Goodfellow et al., "Generative adversarial nets", 2014, arXiv:1406.2661.
  Jolicoeur-Martineau, "The relativistic discriminator", 2018, arXiv:1807.00734.
  Huang et al., "The GAN is dead; long live the GAN! A modern GAN baseline", 2024, arXiv:2501.05441 (R3GAN).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxvae.errors import UserError, check_shape
from jaxvae.types import Array


def relativistic_discriminator(real: Array, fake: Array) -> Array:
    """Return the discriminator's loss of relativistic pairing: a real image is to look more real than a made one.

      loss_i = log(1 + exp(-(D(x_i) - D(G(z_i)))))

    A discriminator that compares has no bad local minimum in which all made images lie beyond one threshold, the
    landscape behind lost modes (Sun et al. 2020, arXiv:2011.04926).

    Args:
      real: logits of real images, [B].
      fake: logits of made images, [B].

    Returns:
      [B], nats; log 2 of a discriminator that knows nothing.

    References:
      Huang et al. 2024, eq. 2 (there the negative of it, which the discriminator maximises).
    """
    return jax.nn.softplus(fake - real)


def relativistic_generator(real: Array, fake: Array) -> Array:
    """Return the generator's loss of relativistic pairing: a made image is to look more real than a real one.

      loss_i = log(1 + exp(-(D(G(z_i)) - D(x_i))))

    Args:
      real: logits of real images, [B].
      fake: logits of made images, [B].

    Returns:
      [B], nats.

    References:
      Huang et al. 2024, sec. 2.1: as in their code and in Jolicoeur-Martineau 2018 the generator minimises the loss of
      the swapped pair, in place of maximising the discriminator's.
    """
    return jax.nn.softplus(real - fake)


def non_saturating_discriminator(real: Array, fake: Array) -> Array:
    """Return the discriminator's cross-entropy of real images against made ones.

      loss_i = -log s(D(x_i)) - log(1 - s(D(G(z_i)))),    s the logistic function

    Args:
      real: logits of real images, [B].
      fake: logits of made images, [B].

    Returns:
      [B], nats; 2 log 2 of a discriminator that knows nothing.

    References:
      Goodfellow et al. 2014, eq. 1.
    """
    return jax.nn.softplus(-real) + jax.nn.softplus(fake)


def non_saturating_generator(fake: Array) -> Array:
    """Return the generator's loss that has a gradient however sure the discriminator is.

      loss_i = -log s(D(G(z_i)))

    Args:
      fake: logits of made images, [B].

    Returns:
      [B], nats.

    References:
      Goodfellow et al. 2014, sec. 3 (in place of the minimum of log(1 - s(D(G(z))))).
    """
    return jax.nn.softplus(-fake)


def gradient_penalty(judge: Callable[[Array], Array], x: Array) -> Array:
    """Return half the squared norm of a discriminator's gradient at every input: R1 of real ones, R2 of made ones.

      penalty_i = 1/2 |dD(x)/dx at x_i|^2

    Times gamma and averaged it is R1 or R2. Both together keep the discriminator flat where real and made images are,
    so that the game has a point at which it comes to rest; R1 alone does not do so for relativistic pairing.

    Args:
      judge: inputs [B, ...] -> logits [B], each of its own input alone.
      x: [B, ...].

    Returns:
      [B], in squared logits per unit of the input.

    References:
      Mescheder et al., "Which training methods for GANs do actually converge?", 2018, arXiv:1801.04406, sec. 4.1.
      Huang et al. 2024, eq. 3.
    """
    logits, pull = jax.vjp(judge, x)
    check_shape("what a discriminator gives", logits, x.shape[:1])
    (gradient,) = pull(jnp.ones_like(logits))
    return 0.5 * jnp.sum(jnp.square(gradient.reshape(len(x), -1)), axis=1)


def feature_error(features: Array, wanted: Array) -> Array:
    """Return the reconstruction error in a discriminator's features, in place of pixels.

      error_i = 1/2 |f(x_i) - f(y_i)|^2 = -log N(f(x_i) | f(y_i), I) - F/2 log(2 pi)

    Args:
      features: f(y) of reconstructions, [B, F].
      wanted: f(x) of the images, [B, F].

    Returns:
      [B], nats up to the constant.

    References:
      Larsen et al., "Autoencoding beyond pixels using a learned similarity metric", 2016, arXiv:1512.09300, eq. 7.
    """
    check_shape("features of reconstructions", features, wanted.shape)
    return 0.5 * jnp.sum(jnp.square(features - wanted), axis=1)


def pack(x: Array, size: int) -> Array:
    """Put images on top of each other as channels of one input: [B, ..., C] -> [B / size, ..., size C].

    A discriminator of packs sees that images are too alike, which it cannot see of any one of them: a generator that
    loses modes is punished. Neighbours in the batch make a pack, so that packs are the same on any number of devices.

    Args:
      x: images, [B, ..., C].
      size: m, images in a pack; 1 leaves them as they are.

    Returns:
      [B / m, ..., m C], image after image in the last axis.

    Raises:
      UserError: if the images cannot be divided into packs.

    References:
      Lin et al., "PacGAN: the power of two samples in generative adversarial networks", 2018, arXiv:1712.04086, sec. 2.
    """
    if size == 1:
        return x
    if len(x) % size:
        raise UserError(
            f"{len(x)} image{'s' * (len(x) != 1)} cannot be divided into packs of {size}: expected a batch, on each "
            f"device, of a multiple of {size}."
        )
    packs = x.reshape(len(x) // size, size, *x.shape[1:])
    return jnp.moveaxis(packs, 1, -2).reshape(len(packs), *x.shape[1:-1], size * x.shape[-1])
