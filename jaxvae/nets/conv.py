"""Convolutions of NHWC images with SAME padding, in two implementations of one meaning.

`lax` is XLA's own convolution, for GPU and TPU; `gemm` is one matrix product, for the CPU (see `gemm.py`). Parameters,
outputs and gradients agree. Sizes and layouts are those of `flax.linen` with padding="SAME": a stride s takes n to
ceil(n / s), transposed n to n * s, and parameters can be exchanged with `nn.Conv` and `nn.ConvTranspose`.
"""

import contextlib
import contextvars
import math
from collections.abc import Iterator
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from flax.typing import Dtype
from jax import lax

from jaxvae.nets.gemm import Pair, conv_gemm, conv_transpose_gemm
from jaxvae.types import Array

Initializer = nn.initializers.Initializer
Implementation = Literal["lax", "gemm"]

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")
_CHOSEN: contextvars.ContextVar[Implementation | None] = contextvars.ContextVar("implementation", default=None)


def fan_in_normal(scale: float = 1.0, strides: Pair = (1, 1)) -> Initializer:
    """Initialise kernels [kh, kw, cin, cout] by the number of terms that a pixel of the output sums.

      variance = scale / fan_in,    fan_in = kh * kw * cin / (strides[0] * strides[1])

    In a transposed convolution of stride s only every s-th row and column of the kernel meets a pixel, so the fan-in of
    its shape would be s * s times too large. In a convolution the strides do not matter: leave them at one.

    Args:
      scale: 1 keeps the variance of the signal, 2 does so before a relu.
      strides: of a transposed convolution.

    Returns:
      A truncated normal initialiser.
    """
    return nn.initializers.variance_scaling(scale * math.prod(strides), "fan_in", "truncated_normal")


def interpolating(scale: float = 1.0) -> Initializer:
    """Initialise kernels of transposed convolutions of stride 2 as linear interpolation of a random 1x1 convolution.

      kernel[i, j] = t_i t_j w,    t_i = max(0, 1 - |i - (k - 1) / 2| / 2)

    Independent taps treat the four pixels between which an input lies differently: images begin with a checkerboard,
    which a short training does not remove. Here they begin smooth, as by a resize before a convolution (Odena et al.,
    "Deconvolution and checkerboard artifacts", 2016), at the cost of the transposed convolution.

    Args:
      scale: of the variance of w, scale / cin; the kernel is scaled so that an output has `scale` times the variance of
        independent inputs, averaged over pixels.

    Returns:
      An initialiser of kernels [k, k, cin, cout].
    """

    def init(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
        size = shape[0]
        taps = jnp.maximum(0.0, 1.0 - jnp.abs(jnp.arange(size) - (size - 1) / 2) / 2.0)
        power = jnp.sum(jnp.square(taps)) / 2.0  # of the taps that meet one pixel, in one dimension
        weights = fan_in_normal(scale)(key, shape[2:], dtype)
        return jnp.einsum("i,j,cf->ijcf", taps, taps, weights / power).astype(dtype)

    return init


@contextlib.contextmanager
def convolutions_by(implementation: Implementation) -> Iterator[None]:
    """Let what is traced inside take an implementation, where none is asked for, in place of the backend's.

    Args:
      implementation: "lax", as of programs for other machines, or "gemm".
    """
    token = _CHOSEN.set(implementation)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def convolve(
    x: Array,
    kernel: Array,
    strides: Pair = (1, 1),
    low: Pair | None = None,
    implementation: Implementation | None = None,
) -> Array:
    """Convolve images, zeros outside: the function behind the layers.

    Args:
      x: images, [B, H, W, cin].
      kernel: [kh, kw, cin, cout].
      strides: of the windows.
      low: rows above the image and columns to its left at which the windows begin; None centres them, SAME padding.
      implementation: "lax" or "gemm"; None takes gemm where the default backend is a CPU, else lax.

    Returns:
      [B, ceil(H / strides[0]), ceil(W / strides[1]), cout], of the type of x.
    """
    if _resolve(implementation) == "gemm":
        return conv_gemm(x, kernel, strides, low)
    padding: Any = "SAME"
    if low is not None:
        sizes = zip(low, x.shape[1:3], kernel.shape[:2], strides, strict=True)
        # The last of ceil(n / s) windows ends at (ceil(n / s) - 1) s - lo + k.
        wanted = [(lo, (-(-n // s) - 1) * s - lo + k - n) for lo, n, k, s in sizes]
        # What no window sees is cut off, rather than padded by less than nothing, which is XLA's alone.
        rows, columns = (slice(max(-lo, 0), n + min(hi, 0)) for (lo, hi), n in zip(wanted, x.shape[1:3], strict=True))
        x, padding = x[:, rows, columns], [(max(lo, 0), max(hi, 0)) for lo, hi in wanted]
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=_DIMENSIONS)


def convolve_transpose(
    x: Array, kernel: Array, strides: Pair = (1, 1), implementation: Implementation | None = None
) -> Array:
    """Convolve dilated images, the function behind `ConvTranspose`.

    With `kernel[::-1, ::-1].swapaxes(2, 3)` it is, as a linear map, the transpose of `convolve` by a `kernel` of twice
    the strides; where these do not divide the size, what is beyond the image is to be cut off.

    Args:
      x: images, [B, H, W, cin].
      kernel: [kh, kw, cin, cout].
      strides: how many times larger the output is.
      implementation: as of `convolve`.

    Returns:
      [B, H * strides[0], W * strides[1], cout], of the type of x.
    """
    if _resolve(implementation) == "lax":
        return lax.conv_transpose(x, kernel, strides, "SAME", dimension_numbers=_DIMENSIONS)
    return conv_transpose_gemm(x, kernel, strides)


class Conv(nn.Module):
    """Convolution with SAME padding: [..., H, W, cin] -> [..., ceil(H / s), ceil(W / s), features].

    Parameters, as in `nn.Conv`: `kernel` [kh, kw, cin, features] and `bias` [features].

    Attributes:
      features: channels of the output.
      kernel_size: (kh, kw).
      strides: of the windows.
      use_bias: whether to add one bias for each channel.
      kernel_init: variance 1 / (kh * kw * cin) by default.
      implementation: "lax" or "gemm"; None takes gemm where the default backend is a CPU, else lax.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    features: int
    kernel_size: Pair = (3, 3)
    strides: Pair = (1, 1)
    use_bias: bool = True
    kernel_init: Initializer | None = None
    implementation: Implementation | None = None
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel_init = self.kernel_init or fan_in_normal()
        kernel = self.param("kernel", kernel_init, (*self.kernel_size, x.shape[-1], self.features))
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        images = x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:])
        y = convolve(images, kernel, self.strides, implementation=self.implementation)
        return _add_bias(self, y).reshape(*x.shape[:-3], *y.shape[1:])


class ConvTranspose(nn.Module):
    """Transposed convolution with SAME padding: [..., H, W, cin] -> [..., H * s, W * s, features].

    Parameters, as in `nn.ConvTranspose`: `kernel` [kh, kw, cin, features] and `bias` [features].

    Attributes:
      features: channels of the output.
      kernel_size: (kh, kw); a multiple of the strides treats all pixels of the output alike.
      strides: how many times larger the output is.
      use_bias: whether to add one bias for each channel.
      kernel_init: variance s * s / (kh * kw * cin) by default, see `fan_in_normal`.
      implementation: "lax" or "gemm"; None takes gemm where the default backend is a CPU, else lax.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    features: int
    kernel_size: Pair = (3, 3)
    strides: Pair = (1, 1)
    use_bias: bool = True
    kernel_init: Initializer | None = None
    implementation: Implementation | None = None
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel_init = self.kernel_init or fan_in_normal(strides=self.strides)
        kernel = self.param("kernel", kernel_init, (*self.kernel_size, x.shape[-1], self.features))
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        images = x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:])
        y = convolve_transpose(images, kernel, self.strides, self.implementation)
        return _add_bias(self, y).reshape(*x.shape[:-3], *y.shape[1:])


def _resolve(implementation: Implementation | None) -> Implementation:
    implementation = implementation or _CHOSEN.get()
    if implementation is None:
        return "gemm" if jax.default_backend() == "cpu" else "lax"
    if implementation not in ("lax", "gemm"):
        raise ValueError(f'implementation is {implementation!r}, expected "lax", "gemm" or None.')
    return implementation


def _add_bias(module: Conv | ConvTranspose, y: Array) -> Array:
    if not module.use_bias:
        return y
    bias = module.param("bias", nn.initializers.zeros_init(), (module.features,))
    return y + jnp.broadcast_to(bias.astype(y.dtype), y.shape)
