"""Networks between images and maps of vectors, one vector a place: what quantizers work on (VQ-VAE).

References:
  van den Oord et al., "Neural Discrete Representation Learning", 2017, arXiv:1711.00937, sec. 4.1.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Dtype

from jaxvae.nets.conv import Conv, fan_in_normal
from jaxvae.nets.gemm import Pair
from jaxvae.nets.image import Double, halved_sizes
from jaxvae.nets.resnet import ResidualBlock
from jaxvae.types import Array


class MapEncoder(nn.Module):
    """A map of vectors from images or larger maps: [..., H, W, C] -> [..., h, w, features].

    A 4x4 convolution of stride 2 and a relu for each width, each halving the size and rounding up; residual blocks at
    the last size; a 3x3 convolution. Departs from the paper in the blocks, which are this package's.

    Parameters: `conv_0`, `conv_1`, ..., `block_0`, ..., `readout`.

    Attributes:
      features: D, length of a vector.
      channels: the width of each halving.
      num_blocks: residual blocks at the last size.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    features: int
    channels: Sequence[int] = (32, 64)
    num_blocks: int = 0
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        halved_sizes(x.shape[-3:], len(self.channels))
        h = x
        for i, width in enumerate(self.channels):
            conv = Conv(width, (4, 4), (2, 2), kernel_init=fan_in_normal(2.0), dtype=self.dtype, name=f"conv_{i}")
            h = nn.relu(conv(h))
        for i in range(self.num_blocks):
            h = ResidualBlock(nn.relu, dtype=self.dtype, name=f"block_{i}")(h)
        return Conv(self.features, dtype=self.dtype, name="readout")(h)


class GridContext(nn.Module):
    """A map for the places of a grid from the codes of a coarser one: [..., h', w'] -> [..., h, w, features].

    Parameters: `embedding`, `conv`, `double`.

    Attributes:
      num_codes: K of the coarser grid.
      size: (h, w), at most (2 h', 2 w').
      features: channels of the map.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    num_codes: int
    size: Pair
    features: int
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, codes: Array) -> Array:
        h = nn.Embed(self.num_codes, self.features, dtype=self.dtype, name="embedding")(codes.astype(jnp.int32))
        h = nn.relu(Conv(self.features, kernel_init=fan_in_normal(2.0), dtype=self.dtype, name="conv")(h))
        return nn.relu(Double(self.features, self.size, scale=2.0, dtype=self.dtype, name="double")(h))


class MapDecoder(nn.Module):
    """The mirror image of `MapEncoder`: [..., h, w, D] -> a map [..., ceil(H / 2), ceil(W / 2), channels[-1]].

    A 3x3 convolution, residual blocks, and a doubling for each width after the first, cropped where the encoder's
    halving rounds up. `ImageDecoder` doubles the last map.

    Parameters: `conv`, `block_0`, ..., `double_0`, ....

    Attributes:
      image_shape: (H, W, ...) of the images to be decoded.
      channels: the width of each map, the smallest map first.
      num_blocks: residual blocks at the first size.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    image_shape: Sequence[int]
    channels: Sequence[int] = (64, 32)
    num_blocks: int = 0
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, z: Array) -> Array:
        _, *sizes = halved_sizes(self.image_shape, len(self.channels))
        sizes.pop()
        h = Conv(self.channels[0], kernel_init=fan_in_normal(2.0), dtype=self.dtype, name="conv")(z)
        for i in range(self.num_blocks):
            h = ResidualBlock(nn.relu, dtype=self.dtype, name=f"block_{i}")(h)
        h = nn.relu(h)
        for i, width in enumerate(self.channels[1:]):
            double = Double(width, sizes.pop(), scale=2.0, dtype=self.dtype, name=f"double_{i}")
            h = nn.relu(double(h))
        return h
