"""Residual networks without normalisation: every block starts as the identity.

References:
  He et al., "Identity mappings in deep residual networks", 2016, arXiv:1603.05027 (activations come first).
  Zhang et al., "Fixup initialization", 2019, arXiv:1901.09321 (zero last convolutions in place of normalisation).
  van den Oord et al., "Conditional image generation with PixelCNN decoders", 2016, arXiv:1606.05328 (gates).
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from flax.typing import Dtype

from jaxvae.errors import UserError
from jaxvae.nets.conv import Conv, fan_in_normal
from jaxvae.nets.image import DenseMap, Double, halved_sizes
from jaxvae.nets.mlp import Activation, flatten_image
from jaxvae.types import Array


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: [..., h, w, C] -> [..., h, w, C].

      y = x + conv_1(act(conv_0(act(x))))
      y = x + a * sigmoid(b),  (a, b) = conv_1(...)       if gated

    conv_1 is zero at first, so y = x. Parameters: `conv_0`, `conv_1`.

    Attributes:
      activation: elementwise function, before both convolutions.
      gated: whether a gate scales the residual; conv_1 has twice the channels then.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    activation: Activation = nn.silu
    gated: bool = False
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        (x,) = promote_dtype(x, dtype=self.dtype)
        width = x.shape[-1]
        h = Conv(width, kernel_init=fan_in_normal(2.0), dtype=self.dtype, name="conv_0")(self.activation(x))
        zeros = nn.initializers.zeros_init()
        num_outputs = 2 * width if self.gated else width
        h = Conv(num_outputs, kernel_init=zeros, dtype=self.dtype, name="conv_1")(self.activation(h))
        if self.gated:
            value, gate = jnp.split(h, 2, axis=-1)
            h = value * nn.sigmoid(gate)
        return x + h


class ResNetEncoder(nn.Module):
    """Features of images: [..., H, W, C] -> [..., h * w * channels[-1]].

    A stage is a 4x4 convolution of stride 2 and residual blocks at the halved size. There are no blocks at full size,
    where they would take most of the time.

    Parameters: `conv_<stage>`, `block_<stage>_<number>`.

    Attributes:
      channels: the width of each stage.
      num_blocks: in every stage, or in each of them.
      activation: elementwise function, before the convolutions of the blocks and at the end.
      gated: whether the blocks have gates.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
      remat: whether gradients compute the inside of every block anew: memory saved on GPU and TPU, none on the CPU.
    """

    channels: Sequence[int] = (32, 64)
    num_blocks: int | Sequence[int] = 2
    activation: Activation = nn.silu
    gated: bool = False
    dtype: Dtype | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        halved_sizes(x.shape[-3:], len(self.channels))
        block, h = _block(self.remat), x
        for i, (width, num_blocks) in enumerate(_stages(self.channels, self.num_blocks)):
            h = Conv(width, (4, 4), (2, 2), dtype=self.dtype, name=f"conv_{i}")(h)
            for j in range(num_blocks):
                h = block(self.activation, self.gated, self.dtype, name=f"block_{i}_{j}")(h)
        return flatten_image(self.activation(h))


class ResNetDecoder(nn.Module):
    """The mirror image of `ResNetEncoder`: z [..., D] -> a map [..., ceil(H / 2), ceil(W / 2), channels[-1]].

    A dense layer makes the smallest map; `ImageDecoder` makes the output of the last one, by one more doubling.

    Parameters: `dense`, `block_<stage>_<number>`, and from stage 1 on `conv_<stage>`.

    Attributes:
      image_shape: (H, W, ...) of the images to be decoded.
      channels: the width of each stage, the smallest map first.
      num_blocks: in every stage, or in each of them.
      activation: elementwise function, before the convolutions of the blocks and at the end.
      gated: whether the blocks have gates.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
      remat: whether gradients compute the inside of every block anew: memory saved on GPU and TPU, none on the CPU.
    """

    image_shape: Sequence[int]
    channels: Sequence[int] = (64, 32)
    num_blocks: int | Sequence[int] = 2
    activation: Activation = nn.silu
    gated: bool = False
    dtype: Dtype | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, z: Array) -> Array:
        _, *sizes = halved_sizes(self.image_shape, len(self.channels))
        block = _block(self.remat)
        h = DenseMap(sizes.pop(), self.channels[0], dtype=self.dtype, name="dense")(z)
        for i, (width, num_blocks) in enumerate(_stages(self.channels, self.num_blocks)):
            if i > 0:
                h = Double(width, sizes.pop(), dtype=self.dtype, name=f"conv_{i}")(h)
            for j in range(num_blocks):
                h = block(self.activation, self.gated, self.dtype, name=f"block_{i}_{j}")(h)
        return self.activation(h)


def _stages(channels: Sequence[int], num_blocks: int | Sequence[int]) -> list[tuple[int, int]]:
    """Width and number of blocks of every stage."""
    numbers = [num_blocks] * len(channels) if isinstance(num_blocks, int) else list(num_blocks)
    if len(numbers) != len(channels):
        raise UserError(
            f"num_blocks has {len(numbers)} numbers for {len(channels)} stages of {', '.join(map(str, channels))} "
            "channels: expected one for all, or one for each."
        )
    return list(zip(channels, numbers, strict=True))


def _block(remat: bool) -> type[nn.Module]:
    return nn.remat(ResidualBlock) if remat else ResidualBlock
