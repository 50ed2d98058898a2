"""What nets that draw pixel by pixel share: convolutions of a pixel's past, and the inputs that they still need."""

import functools
import math
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from flax.typing import Dtype
from jax import lax

from jaxvae.errors import check_shape
from jaxvae.nets.conv import convolve, fan_in_normal
from jaxvae.nets.gemm import Pair
from jaxvae.types import Array


class Past(NamedTuple):
    """The inputs that windows of r pixels each way still need, E channels."""

    rows: Array  # [B, r, W, E]  those of the rows above
    row: Array  # [B, r + W, E]  those of the present row, after zeros to its left


def no_past(num: int, width: int, features: int, reach: int, dtype: Dtype | None) -> Past:
    """Return the past of the first pixel of `num` images: zeros."""
    zeros = functools.partial(jnp.zeros, dtype=dtype or jnp.float32)
    return Past(zeros((num, reach, width, features)), zeros((num, reach + width, features)))


def next_row(past: Past) -> Past:
    """Return the past at the beginning of the row below."""
    finished = past.row[:, None, past.rows.shape[1] :]
    return Past(jnp.concatenate([past.rows[:, 1:], finished], axis=1), jnp.zeros_like(past.row))


def to_the_left(past: Past, j: Array) -> Array:
    """Return the r inputs to the left of pixel j, [B, r, E]."""
    return lax.dynamic_slice_in_dim(past.row, j, past.rows.shape[1], 1)


def with_pixel(past: Past, h: Array, j: Array) -> Past:
    """Return the past with the input h [B, E] of pixel j of the present row."""
    row = lax.dynamic_update_index_in_dim(past.row, h.astype(past.row.dtype), j + past.rows.shape[1], 1)
    return past._replace(row=row)


class CausalConv(nn.Module):
    """Convolution of windows whose place a number says, of a map, of one row of it or of one pixel of it.

    Parameters: `kernel` [kh, kw, cin, features] and `bias` [features].

    Attributes:
      in_features: cin.
      features: channels of the output.
      kernel_size: (kh, kw).
      low: rows above and columns to the left of a pixel at which its window begins.
      dtype: of the computation; parameters stay float32.
    """

    in_features: int
    features: int
    kernel_size: Pair
    low: Pair
    dtype: Dtype | None = None

    def setup(self) -> None:
        shape = (*self.kernel_size, self.in_features, self.features)
        self.kernel = self.param("kernel", fan_in_normal(), shape)
        self.bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))

    def __call__(self, x: Array) -> Array:
        """Map a whole map: [B, H, W, cin] -> [B, H, W, features]."""
        x, kernel, bias = promote_dtype(x, self.kernel, self.bias, dtype=self.dtype)
        y = convolve(x, kernel, low=self.low)
        return y + jnp.broadcast_to(bias, y.shape)

    def row(self, rows: Array) -> Array:
        """Map the kh rows that the windows of one row cover: [B, kh, W, cin] -> [B, W, features]."""
        width, columns, left = rows.shape[2], self.kernel_size[1], self.low[1]
        padded = jnp.pad(rows, ((0, 0), (0, 0), (left, columns - 1 - left), (0, 0)))
        windows = jnp.stack([padded[:, :, start : start + width] for start in range(columns)], axis=2)
        return self._sum(jnp.moveaxis(windows, 3, 1), 3)  # [B, W, kh, kw, cin]

    def pixel(self, window: Array) -> Array:
        """Map the window of one pixel, of a kernel of one row: [B, kw, cin] -> [B, features]."""
        return self._sum(window, 2)

    def _sum(self, windows: Array, num_axes: int) -> Array:
        windows, kernel, bias = promote_dtype(windows, self.kernel, self.bias, dtype=self.dtype)
        flat = windows.reshape(*windows.shape[:-num_axes], math.prod(windows.shape[-num_axes:]))
        y = jnp.dot(flat, kernel.reshape(-1, self.features))
        return y + jnp.broadcast_to(bias, y.shape)


def check_context(context: Array | None, shape: tuple[int, ...]) -> None:
    """Raise a ValueError unless a context is None, [B, F] or [B, H, W, F] beside inputs of a shape [B, H, W, ...]."""
    if context is not None:
        expected = shape[:1] if context.ndim == 2 else shape[:3]
        check_shape("context of an autoregressive net", context, (*expected, None))
