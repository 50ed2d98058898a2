"""Networks from images to features and from latents to the parameters of p(x | z).

A decoder is two modules: a net, z [..., D] -> features [..., F] or a feature map [..., h, w, C], and one `ImageDecoder`
that reads the parameters of the likelihood from them, whatever their number and shapes. The last doubling of the size
belongs to `ImageDecoder`, so the nets of decoders stop at half of the image.
"""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import unfreeze
from flax.typing import Dtype

from jaxvae.errors import UserError
from jaxvae.nets.conv import Conv, ConvTranspose, fan_in_normal, interpolating
from jaxvae.nets.mlp import Activation, flatten_image
from jaxvae.types import Array

Size = tuple[int, int]


class ConvEncoder(nn.Module):
    """Features of images: one stride-2 convolution for each width, [..., H, W, C] -> [..., h * w * channels[-1]].

    Every layer halves the size and rounds up: 28, 14, 7 or 105, 53, 27. Parameters: `conv_0`, `conv_1`, ....

    Attributes:
      channels: the width of each layer.
      kernel_size: of all kernels, both ways.
      activation: elementwise function, after every layer.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    channels: Sequence[int] = (32, 64)
    kernel_size: int = 4
    activation: Activation = nn.relu
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        halved_sizes(x.shape[-3:], len(self.channels))
        kernel, h = (self.kernel_size, self.kernel_size), x
        for i, width in enumerate(self.channels):
            conv = Conv(width, kernel, (2, 2), kernel_init=fan_in_normal(2.0), dtype=self.dtype, name=f"conv_{i}")
            h = self.activation(conv(h))
        return flatten_image(h)


class ConvDecoder(nn.Module):
    """The mirror image of `ConvEncoder`: z [..., D] -> a map [..., ceil(H / 2), ceil(W / 2), channels[-1]].

    A dense layer makes the smallest map and a transposed convolution each next one, cropped where the encoder's halving
    rounds up. `ImageDecoder` doubles the last one: with channels (64, 32) and 28x28 images the maps are 7x7x64,
    14x14x32 and the output.

    Parameters: `dense`, `conv_0`, `conv_1`, ....

    Attributes:
      channels: the width of each map, the smallest map first.
      image_shape: (H, W, ...) of the images to be decoded.
      kernel_size: of all kernels, both ways.
      activation: elementwise function, after every layer.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    channels: Sequence[int]
    image_shape: Sequence[int]
    kernel_size: int = 4
    activation: Activation = nn.relu
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, z: Array) -> Array:
        _, *sizes = halved_sizes(self.image_shape, len(self.channels))
        dense = DenseMap(sizes.pop(), self.channels[0], scale=2.0, dtype=self.dtype, name="dense")
        h = self.activation(dense(z))
        for i, width in enumerate(self.channels[1:]):
            double = Double(width, sizes.pop(), self.kernel_size, scale=2.0, dtype=self.dtype, name=f"conv_{i}")
            h = self.activation(double(h))
        return h


class ImageDecoder(nn.Module):
    """z -> the parameters of the likelihood, a pytree like `param_shapes` with the leading axes of z.

    z is a vector for every image, [..., D], or a map of vectors, [..., h, w, D].

    From features [..., F] every leaf is read by a dense layer. From a map [..., h, w, C] leaves of shape (h, w, ...)
    are read by a 3x3 convolution, leaves of up to twice its size, ceil(H / 2) = h, by a 4x4 transposed convolution of
    stride 2, and leaves that are not images, as mixture weights, by a dense layer on the whole map.

    Parameters: `net`; for every leaf a bias-free layer, `readout` where `param_shapes` is a single leaf and
    `readout_<key>` in a dict or NamedTuple; and `bias`, one pytree of the structure and shapes of `param_shapes`
    (those of one image, so a bias for each pixel), zero at first. A model sets it to the parameters of the mean image:

      params["decoder"]["bias"] = likelihood.init_bias(mean_image)

    Attributes:
      net: z -> [..., F] or [..., h, w, C].
      param_shapes: pytree of `jax.ShapeDtypeStruct`, the parameters of one image: `likelihood.param_shapes(shape)`.
      dtype: of the readouts' products; biases are added, and parameters given, in the types of `param_shapes`. None
        takes that of the features and the kernels together, float32 for a net of bfloat16 too.
      latent_axes: of z, those of one image: 1 of a vector, 3 of a map.
    """

    net: nn.Module
    param_shapes: Any
    dtype: Dtype | None = None
    latent_axes: int = 1

    @nn.compact
    def __call__(self, z: Array, x: Array | None = None) -> Any:
        """Give the parameters of p(x | z).

        Args:
          z: latents, [..., D] or [..., h, w, D].
          x: the image; not read here, a pixel depends on z alone. Autoregressive decoders do read it.

        Returns:
          The pytree of `param_shapes`, each leaf [..., *shape] and of its type there.

        Raises:
          ValueError: if an image among the parameters has neither the size of the net's map nor twice that.
        """
        del x
        shapes = unfreeze(self.param_shapes)  # Linen turns dicts that are attributes into FrozenDicts
        features = self.net(z)
        leading = z.shape[: z.ndim - self.latent_axes]
        bias = self.param("bias", lambda key: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes))

        def read(path: Any, leaf: jax.ShapeDtypeStruct, leaf_bias: Array) -> Array:
            name = "_".join(["readout", *(jax.tree_util.keystr((key,), simple=True) for key in path)])
            y = _readout(features, features.ndim - len(leading) == 3, leaf.shape, name, self.dtype)
            # Cast before the sum: the bias starts as the mean image, which would lose digits in half precision.
            y = y.reshape(*leading, *leaf.shape).astype(leaf.dtype)
            return y + jnp.broadcast_to(leaf_bias, y.shape)

        return jax.tree_util.tree_map_with_path(read, shapes, bias)


class DenseMap(nn.Module):
    """A feature map from a vector, by a dense layer: [..., D] -> [..., h, w, features].

    Parameters: those of `nn.Dense`.

    Attributes:
      size: (h, w).
      features: channels of the map.
      scale: of the variance of the initial kernel, as in `fan_in_normal`.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    size: Size
    features: int
    scale: float = 1.0
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, z: Array) -> Array:
        shape = (*self.size, self.features)
        dense = nn.Dense(math.prod(shape), dtype=self.dtype, kernel_init=fan_in_normal(self.scale))
        nn.share_scope(self, dense)
        return dense(z).reshape(*z.shape[:-1], *shape)


class Double(nn.Module):
    """A map of up to twice the size, cropped: [..., h, w, C] -> [..., *size, features].

    Parameters: those of `ConvTranspose`.

    Attributes:
      features: channels of the output.
      size: (H, W), at most (2 * h, 2 * w).
      kernel_size: both ways.
      scale: of the variance of the initial kernel, as in `interpolating`.
      use_bias: whether to add one bias for each channel.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    features: int
    size: Size
    kernel_size: int = 4
    scale: float = 1.0
    use_bias: bool = True
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, h: Array) -> Array:
        kernel, strides = (self.kernel_size, self.kernel_size), (2, 2)
        conv = ConvTranspose(self.features, kernel, strides, self.use_bias, interpolating(self.scale), dtype=self.dtype)
        nn.share_scope(self, conv)
        return conv(h)[..., : self.size[0], : self.size[1], :]


def halved_sizes(image_shape: Sequence[int], num: int) -> list[Size]:
    """Give the sizes of an image that is halved `num` times, rounded up: the image itself first, the smallest last.

    Args:
      image_shape: (H, W, ...).
      num: how many times.

    Returns:
      num + 1 pairs (H, W).

    Raises:
      UserError: if there is nothing left to halve.
    """
    sizes = [(image_shape[0], image_shape[1])]
    for _ in range(num):
        height, width = sizes[-1]
        if min(height, width) < 2:
            raise UserError(
                f"An image of {image_shape[0]}x{image_shape[1]} pixels cannot be halved {num} times, once for each "
                "layer of the network: take larger images or, where the layers' widths can be chosen, fewer layers."
            )
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes


def _readout(features: Array, is_map: bool, shape: tuple[int, ...], name: str, dtype: Dtype | None) -> Array:
    """Create the layer that reads one leaf, inside the module that calls, and apply it."""
    if is_map and len(shape) >= 2:
        size = features.shape[-3:-1]
        image, num_channels = (shape[0], shape[1]), math.prod(shape[2:])
        if image == size:
            return Conv(num_channels, (3, 3), use_bias=False, dtype=dtype, name=name)(features)
        if ((image[0] + 1) // 2, (image[1] + 1) // 2) == size:
            return Double(num_channels, image, use_bias=False, dtype=dtype, name=name)(features)
        if len(shape) > 2:
            raise ValueError(
                f"A parameter of shape {list(shape)} cannot be read from a map of {size[0]}x{size[1]}: expected an "
                f"image of that size or twice that size, so give the decoder's net the shape of this image."
            )
    vector = flatten_image(features) if is_map else features
    return nn.Dense(math.prod(shape), use_bias=False, dtype=dtype, name=name)(vector)
