"""Autoencoders of pairs of layers: one up, towards the code, and its mirror image down.

A pair is what a phase of greedy layer-wise training learns, and where weights are tied. An autoencoder is a list of
them and the likelihood that scores the images that come back.

References:
  Bengio et al., "Greedy Layer-Wise Training of Deep Networks", 2007.
  Vincent et al., "Stacked Denoising Autoencoders", 2010.
"""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from flax.typing import Dtype

from jaxvae.errors import check_shape
from jaxvae.nets.conv import convolve, convolve_transpose, fan_in_normal, interpolating
from jaxvae.nets.image import halved_sizes
from jaxvae.nets.mlp import Activation
from jaxvae.types import Array, Likelihood, Params

Shape = tuple[int, ...]


def identity(h: Array) -> Array:
    """Return h: the activation of a pair that has none."""
    return h


class DensePair(nn.Module):
    """Dense layers between events of a shape and vectors: [..., *shape] -> [..., features], and back.

    Parameters: `kernel` [prod(shape), features] and `bias` [features] of the layer up, `down_kernel` [features,
    prod(shape)] unless tied, and `down_bias` of the shape.

    Attributes:
      shape: of one event.
      features: length of the vector.
      activation: elementwise function, after the layer up.
      tied: whether the kernel down is that up, transposed.
      dtype: of the products, and of what `up` gives; parameters stay float32. None takes that of both together.
    """

    shape: Shape
    features: int
    activation: Activation = nn.relu
    tied: bool = False
    dtype: Dtype | None = None

    def setup(self) -> None:
        size = math.prod(self.shape)
        self.kernel = self.param("kernel", fan_in_normal(2.0), (size, self.features))
        self.bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        if not self.tied:
            self.down_kernel = self.param("down_kernel", fan_in_normal(), (self.features, size))
        self.down_bias = self.param("down_bias", nn.initializers.zeros_init(), tuple(self.shape))

    def up(self, h: Array) -> Array:
        """Map events [..., *shape] -> [..., features]."""
        h, kernel, bias = promote_dtype(h, self.kernel, self.bias, dtype=self.dtype)
        y = h.reshape(*h.shape[: h.ndim - len(self.shape)], -1) @ kernel
        return self.activation(y + _like(bias, y.ndim))

    def down(self, h: Array) -> Array:
        """Map vectors [..., features] back to events [..., *shape], before their activation, in float32."""
        h, kernel = promote_dtype(h, self.kernel.T if self.tied else self.down_kernel, dtype=self.dtype)
        y = (h @ kernel).reshape(*h.shape[:-1], *self.shape)
        return y + _like(self.down_bias, y.ndim)

    @property
    def code_shape(self) -> Shape:
        """The shape of what `up` gives for one event."""
        return (self.features,)


class ConvPair(nn.Module):
    """A 4x4 convolution of stride 2 and its mirror image: [..., H, W, C] -> [..., ceil(H / 2), ceil(W / 2), features].

    Parameters: `kernel` [4, 4, C, features] and `bias` [features] of the layer up, `down_kernel` [4, 4, features, C]
    unless tied, and `down_bias` of the shape, so one for each pixel.

    Attributes:
      shape: (H, W, C).
      features: channels of the map.
      activation: elementwise function, after the layer up.
      tied: whether the layer down is the transpose of that up, as a linear map.
      dtype: of the products, and of what `up` gives; parameters stay float32. None takes that of both together.
    """

    shape: Shape
    features: int
    activation: Activation = nn.relu
    tied: bool = False
    dtype: Dtype | None = None

    def setup(self) -> None:
        check_shape("the event of a ConvPair", jax.ShapeDtypeStruct(self.shape, jnp.float32), (None, None, None))
        channels = self.shape[2]
        self.kernel = self.param("kernel", fan_in_normal(2.0), (4, 4, channels, self.features))
        self.bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        if not self.tied:
            self.down_kernel = self.param("down_kernel", interpolating(), (4, 4, self.features, channels))
        self.down_bias = self.param("down_bias", nn.initializers.zeros_init(), tuple(self.shape))

    def up(self, h: Array) -> Array:
        """Map events [..., H, W, C] -> [..., *code_shape]."""
        h, kernel, bias = promote_dtype(h, self.kernel, self.bias, dtype=self.dtype)
        y = convolve(h.reshape(-1, *h.shape[-3:]), kernel, (2, 2))
        y = y.reshape(*h.shape[:-3], *y.shape[1:])
        return self.activation(y + _like(bias, y.ndim))

    def down(self, h: Array) -> Array:
        """Map maps [..., *code_shape] back to events [..., H, W, C], before their activation, in float32."""
        kernel = self.kernel[::-1, ::-1].swapaxes(2, 3) if self.tied else self.down_kernel
        h, kernel = promote_dtype(h, kernel, dtype=self.dtype)
        y = convolve_transpose(h.reshape(-1, *h.shape[-3:]), kernel, (2, 2))
        y = y[:, : self.shape[0], : self.shape[1]].reshape(*h.shape[:-3], *self.shape)
        return y + _like(self.down_bias, y.ndim)

    @property
    def code_shape(self) -> Shape:
        """The shape of what `up` gives for one event."""
        return (*halved_sizes(self.shape, 1)[1], self.features)


class Autoencoder(nn.Module):
    """Images to a code and back through pairs of layers.

      h_0 = x,  h_i = up_i(h_{i-1});   g_n = h_n,  g_{i-1} = f_{i-1}(down_i(g_i)),  log p(x | h_n) by down_1(g_1)

    with the activation f_i of pair i.

    Attributes:
      pairs: `DensePair` or `ConvPair`, from the images upwards: each of the shape that the one below gives.
      likelihood: of one image, whose parameters have its shape, as `bernoulli` or `gaussian`.
    """

    pairs: Sequence[nn.Module]
    likelihood: Likelihood

    def __post_init__(self) -> None:
        for below, pair in zip(self.pairs, self.pairs[1:], strict=False):
            if tuple(pair.shape) != below.code_shape:
                raise ValueError(
                    f"A pair is of events {list(pair.shape)}, the one below gives {list(below.code_shape)}."
                )
        super().__post_init__()

    def __call__(self, x: Array) -> Array:
        """Return the likelihood's parameters of images [B, H, W, C] that went through all pairs."""
        return self.decode(self.encode(x))

    def encode(self, x: Array, num: int | None = None) -> Array:
        """Return the code of images [B, H, W, C], or what the first `num` pairs make of them."""
        for pair in self.pairs[:num]:
            x = pair.up(x)
        return x

    def encode_from(self, h: Array, num: int) -> Array:
        """Return the code of what the first `num` pairs have made of images: `encode` is `encode_from(x, 0)`."""
        for pair in self.pairs[num:]:
            h = pair.up(h)
        return h

    def decode(self, h: Array) -> Array:
        """Return the likelihood's parameters for codes."""
        for below, pair in zip(self.pairs[-2::-1], self.pairs[:0:-1], strict=True):
            h = below.activation(pair.down(h))
        return self.pairs[0].down(h)

    def decode_last(self, h: Array) -> Array:
        """Return what the last pair alone makes of codes: the events of the pair below, before their activation."""
        return self.pairs[-1].down(h)


def with_mean_image(params: Params, likelihood: Likelihood, mean_image: Array) -> Params:
    """Return an autoencoder's parameters with the bias of the images at the mean of the data.

    Args:
      params: of an `Autoencoder`.
      likelihood: its likelihood.
      mean_image: mean of the training images, [H, W, C].

    Returns:
      The parameters, all others as they were.
    """
    if likelihood.init_bias is None:
        return params
    return {**params, "pairs_0": {**params["pairs_0"], "down_bias": likelihood.init_bias(mean_image)}}


def _like(bias: Array, ndim: int) -> Array:
    return bias.reshape(*(1,) * (ndim - bias.ndim), *bias.shape)
