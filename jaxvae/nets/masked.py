"""Layers with connections left out, so that what they say of an input depends on the inputs before it alone.

The pixels of an image are in raster order, row by row. In dense layers a unit of degree d may depend on the first d
inputs. Input j, counted from 0, has degree j + 1, the outputs for input i have degree i, and a unit is connected to
those of no higher degree in the layer before.

References:
  Germain et al., "MADE: Masked Autoencoder for Distribution Estimation", 2015, arXiv:1502.03509.
  van den Oord et al., "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759, sec. 3.4 (masked convolutions).
"""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax.linen.dtypes import promote_dtype
from flax.typing import Dtype
from numpy.typing import ArrayLike

from jaxvae.errors import check_shape
from jaxvae.nets.conv import convolve, fan_in_normal
from jaxvae.nets.gemm import Pair
from jaxvae.nets.mlp import Activation, Initializer
from jaxvae.types import Array


def hidden_degrees(num_inputs: int, width: int) -> np.ndarray:
    """Spread the degrees of a hidden layer evenly: 0 to D - 1, both included where there are two units.

    Departs from the paper (sec. 3 and 4.1): the degrees are fixed, not drawn, and those of 0, which it leaves out, give
    the outputs for the first input hidden units between them and the context.

    Args:
      num_inputs: D.
      width: H, units of the layer.

    Returns:
      Degrees in rising order, [H].
    """
    return np.round(np.linspace(0, num_inputs - 1, width)).astype(int)


def autoregressive_mask(sources: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """Return which connections stay, those to a unit of the same or a higher degree (sec. 3 and 4.1).

    Args:
      sources: degrees of the layer before, [N].
      targets: degrees of the layer, [M].

    Returns:
      Booleans, [N, M].
    """
    return np.asarray(sources)[:, None] <= np.asarray(targets)[None, :]


class MaskedMLP(nn.Module):
    """P numbers for each of D inputs, those for input i a function of the inputs before it: [..., D] -> [..., D, P].

    Parameters: `dense_0`, `dense_1`, ... and `readout`, each with `kernel`, `bias` and, if there is a context,
    `context_kernel`. The readout starts at zero, and so do the outputs.

    Attributes:
      num_outputs: P.
      hidden: the width of each hidden layer.
      activation: elementwise function, after every hidden layer.
      kernel_init: of the hidden kernels, its fan-in that of the connections that are left; the default keeps the scale
        of the signal through relu layers.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    num_outputs: int
    hidden: Sequence[int]
    activation: Activation = nn.relu
    kernel_init: Initializer = nn.initializers.he_normal()
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, h: Array, context: Array | None = None) -> Array:
        """Map h [..., D], with a context [..., F] that every output depends on, or None."""
        num_inputs = h.shape[-1]
        if context is not None:
            check_shape("context of a masked net", context, (*h.shape[:-1], None))
        degrees = np.arange(num_inputs) + 1
        for i, width in enumerate(self.hidden):
            sources, degrees = degrees, hidden_degrees(num_inputs, width)
            mask = autoregressive_mask(sources, degrees)
            h = self.activation(_MaskedDense(mask, self.kernel_init, self.dtype, name=f"dense_{i}")(h, context))
        mask = autoregressive_mask(degrees, np.repeat(np.arange(num_inputs), self.num_outputs))
        h = _MaskedDense(mask, nn.initializers.zeros_init(), self.dtype, name="readout")(h, context)
        return h.reshape(*h.shape[:-1], num_inputs, self.num_outputs)


def causal_mask(kernel_size: Pair, *, centre: bool) -> np.ndarray:
    """Return which pixels of a window come before its centre, [kh, kw]: "mask A", or "mask B" with the centre itself.

    Args:
      kernel_size: odd numbers (kh, kw).
      centre: whether the centre stays; only where the input knows nothing of its own pixel, so not in a first layer.
    """
    mask = np.zeros(kernel_size, bool)
    mask.flat[: mask.size // 2 + centre] = True
    return mask


class MaskedConv(nn.Module):
    """Convolution of the pixels that a mask leaves: [..., H, W, cin] -> [..., H, W, features].

    Parameters, as in `nn.Conv`: `kernel` [kh, kw, cin, features], whose masked entries have no effect, and `bias`.

    Attributes:
      features: channels of the output.
      mask: booleans [kh, kw] of odd lengths, see `causal_mask`.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.

    Raises:
      ValueError: if the mask leaves a pixel that comes after the centre.
    """

    features: int
    mask: ArrayLike
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        mask = np.asarray(self.mask, bool)
        if mask.ndim != 2 or not all(length % 2 for length in mask.shape):
            raise ValueError(f"The mask of a convolution has shape {list(mask.shape)}, expected two odd lengths.")
        future = np.argwhere(mask & ~causal_mask(mask.shape, centre=True))
        if len(future):
            row, column = future[0] - np.array(mask.shape) // 2
            raise ValueError(
                f"The mask of a convolution leaves the pixel {row} rows below and {column} columns to the right of its "
                "centre, which comes after it: expected pixels before the centre and at most the centre itself."
            )
        kernel = self.param(
            "kernel", fan_in_normal(mask.size / max(mask.sum(), 1)), (*mask.shape, x.shape[-1], self.features)
        )
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        above, left = mask.shape[0] // 2, mask.shape[1] // 2
        kept = jnp.where(mask[: above + 1, :, None, None], kernel[: above + 1], 0.0)  # no row below is multiplied
        images = x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:])
        y = convolve(images, kept, low=(above, left)).reshape(*x.shape[:-1], self.features)
        return y + jnp.broadcast_to(bias, y.shape)


# ---------- private


class _MaskedDense(nn.Module):
    """A dense layer with the connections of a mask [N, M], and with all those to a context: [..., N] -> [..., M]."""

    mask: np.ndarray
    kernel_init: Initializer
    dtype: Dtype | None

    @nn.compact
    def __call__(self, h: Array, context: Array | None) -> Array:
        kernel = jnp.where(self.mask, self.param("kernel", self._init_kernel, self.mask.shape), 0.0)
        bias = self.param("bias", nn.initializers.zeros_init(), self.mask.shape[1:])
        h, kernel, bias = promote_dtype(h, kernel, bias, dtype=self.dtype)
        y = jnp.dot(h, kernel)
        if context is not None:
            shape = (context.shape[-1], self.mask.shape[1])
            kernel = self.param("context_kernel", self.kernel_init, shape)
            context, kernel = promote_dtype(context, kernel, dtype=self.dtype)
            y = y + jnp.dot(context, kernel)
        return y + bias.reshape((1,) * (y.ndim - 1) + bias.shape)

    def _init_kernel(self, key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        # Initialisers take all rows of a kernel for its fan-in; a unit sums those that its mask leaves.
        num = np.maximum(self.mask.sum(axis=0, keepdims=True), 1)
        return self.kernel_init(key, shape, dtype) * np.sqrt(shape[0] / num).astype(np.float32)
