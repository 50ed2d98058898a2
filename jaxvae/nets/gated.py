"""Gated convolutions without other activations: the networks of van den Berg et al.'s VAE, the published comparison.

References:
  van den Berg et al., "Sylvester normalizing flows for variational inference", 2018, arXiv:1803.05649, sec. 6 and code.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Dtype

from jaxvae.nets.conv import Conv
from jaxvae.nets.image import DenseMap, Double, halved_sizes
from jaxvae.nets.mlp import flatten_image
from jaxvae.types import Array


class GatedConvEncoder(nn.Module):
    """Features of images: [..., H, W, C] -> [..., features].

    For every width a gated convolution and one of stride 2, then one more and a gated layer on the whole map; the
    paper's with the defaults.

    Parameters: `conv_0`, `conv_1`, ..., `dense`.

    Attributes:
      channels: the width of each halving.
      features: F.
      kernel_size: of all convolutions, both ways.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    channels: Sequence[int] = (32, 64)
    features: int = 256
    kernel_size: int = 5
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        halved_sizes(x.shape[-3:], len(self.channels))
        kernel, h = (self.kernel_size, self.kernel_size), x
        layers = [(width, stride) for width in self.channels for stride in (1, 2)]
        for i, (width, stride) in enumerate([*layers, (self.channels[-1], 1)]):
            h = gated(Conv(2 * width, kernel, (stride, stride), dtype=self.dtype, name=f"conv_{i}")(h))
        return gated(nn.Dense(2 * self.features, dtype=self.dtype, name="dense")(flatten_image(h)))


class GatedConvDecoder(nn.Module):
    """The mirror image of `GatedConvEncoder`: z [..., D] -> a map [..., H, W, channels[-1]] of the images' size.

    A gated layer makes the smallest map; then a gated convolution and a transposed one of stride 2 for every width, and
    one more. `ImageDecoder` reads the output by a 3x3 convolution, where the paper has one of 1x1.

    Parameters: `dense`, `conv_0`, `double_0`, ..., `conv_<last>`.

    Attributes:
      image_shape: (H, W, ...) of the images to be decoded.
      channels: the width of each map, the smallest map first.
      kernel_size: of all convolutions, both ways.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    image_shape: Sequence[int]
    channels: Sequence[int] = (64, 32)
    kernel_size: int = 5
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, z: Array) -> Array:
        sizes, kernel = halved_sizes(self.image_shape, len(self.channels)), (self.kernel_size, self.kernel_size)
        h = gated(DenseMap(sizes.pop(), 2 * self.channels[0], dtype=self.dtype, name="dense")(z))
        for i, (width, following) in enumerate(
            zip(self.channels, [*self.channels[1:], self.channels[-1]], strict=True)
        ):
            h = gated(Conv(2 * width, kernel, dtype=self.dtype, name=f"conv_{i}")(h))
            double = Double(2 * following, sizes.pop(), self.kernel_size, dtype=self.dtype, name=f"double_{i}")
            h = gated(double(h))
        return gated(Conv(2 * self.channels[-1], kernel, dtype=self.dtype, name=f"conv_{len(self.channels)}")(h))


def gated(h: Array) -> Array:
    """Return a * sigmoid(b) of the two halves (a, b) of the channels, [..., 2 C] -> [..., C]."""
    value, gate = jnp.split(h, 2, axis=-1)
    return value * nn.sigmoid(gate)
