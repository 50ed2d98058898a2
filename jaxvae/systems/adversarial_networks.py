"""Networks of adversarial systems: a small DCGAN for images of any size, without normalisation over the batch.

References:
  Radford et al., "Unsupervised representation learning with deep convolutional generative adversarial networks", 2016,
  arXiv:1511.06434. Departs from it: no batch norm, after which a logit would not be of its own image alone, and a dense
  layer before the generator's maps and behind the discriminator's, without which parts do not belong together.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn

from jaxvae.likelihoods import bernoulli
from jaxvae.nets import MLP, ConvDecoder, ConvEncoder, ImageDecoder
from jaxvae.nets.discriminator import Discriminator, leaky_relu
from jaxvae.types import DataSpec

SMALLEST, WIDTH = 8, 16  # side of the smallest map, at most; channels of the largest, doubled with every halving


def channels_of(spec: DataSpec) -> tuple[int, ...]:
    """Return the channels of maps of images of a size: as many halvings as lead to eight pixels, and at least one."""
    side, channels = -(-min(spec.shape[:2]) // 2), [WIDTH]
    while side > SMALLEST:
        side, channels = -(-side // 2), [*channels, 2 * channels[-1]]
    return tuple(channels)


def image_encoder(channels: Sequence[int], hidden: int, dtype: Any = None) -> nn.Module:
    """Return a network from images to features, [B, H, W, C] -> [B, hidden].

    Args:
      channels: of the maps, each of half the size of the one before.
      hidden: units of the dense layer behind them.
      dtype: of the arithmetic.
    """
    return nn.Sequential([ConvEncoder(channels, dtype=dtype), MLP((hidden,), dtype=dtype)])


def image_generator(spec: DataSpec, channels: Sequence[int], hidden: int, dtype: Any = None) -> ImageDecoder:
    """Return a generator, latents [B, D] -> logits of the pixels' means, [B, H, W, C].

    Args:
      spec: of the data.
      channels: of a discriminator's maps, which it mirrors.
      hidden: units of the dense layer before them.
      dtype: of the arithmetic.
    """
    maps = ConvDecoder(tuple(channels)[::-1], spec.shape, dtype=dtype)
    net = nn.Sequential([MLP((hidden,), dtype=dtype), maps])
    return ImageDecoder(net, bernoulli().param_shapes(spec.shape), dtype)


def image_discriminator(
    channels: Sequence[int], hidden: int, *, spectral_norm: bool = False, dtype: Any = None
) -> nn.Module:
    """Return a discriminator of images, or of packs of images as channels, of any size.

    Args:
      channels: of the maps, each of half the size of the one before, which are its features.
      hidden: units of the dense layer behind them, which sees the image as a whole.
      spectral_norm: whether its kernels have spectral norm 1, see `nn.SpectralNorm`.
      dtype: of the arithmetic.
    """
    maps = ConvEncoder(channels, activation=leaky_relu, dtype=dtype)
    return _normed(Discriminator(maps, (hidden,), dtype), spectral_norm)


def code_discriminator(hidden: Sequence[int], *, spectral_norm: bool = False, dtype: Any = None) -> nn.Module:
    """Return a discriminator of codes, [B, D].

    Args:
      hidden: units of its layers.
      spectral_norm: whether its kernels have spectral norm 1.
      dtype: of the arithmetic.
    """
    return _normed(Discriminator(MLP(hidden, leaky_relu, dtype=dtype)), spectral_norm)


# ---------- private


def _normed(discriminator: Discriminator, spectral_norm: bool) -> nn.Module:
    return nn.SpectralNorm(discriminator) if spectral_norm else discriminator
