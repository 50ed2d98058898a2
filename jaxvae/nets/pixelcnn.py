"""Gated PixelCNN: a stack of convolutions over the rows above a pixel and one over the pixels to its left.

The two stacks together see every pixel before the present one in raster order, where a single stack of masked
convolutions has a blind spot to the upper right. Each layer l computes, v of the rows above and h of the row itself,

  a = vertical_l * v,    b = horizontal_l * h + link_l a
  v <- tanh(a_1) sigmoid(a_2),    h <- h + out_l (tanh(b_1) sigmoid(b_2))

where the halves of a and b are the arguments of the gate, a conditioning vector or map adds a linear term to both, and
the first layer, whose windows end before the pixel, has no residual connection.

Sampling repeats nothing: the vertical stack is computed once a row, the horizontal one once a pixel, from what they
kept of the row above and of the pixel to the left (Ramachandran et al. 2017, arXiv:1704.06001).

References:
  van den Oord et al., "Conditional Image Generation with PixelCNN Decoders", 2016, arXiv:1606.05328, sec. 2 and fig. 2.
"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype
from jax import lax

from jaxvae.errors import check_shape
from jaxvae.nets.causal import CausalConv, Past, check_context, next_row, no_past, to_the_left, with_pixel
from jaxvae.nets.conv import fan_in_normal
from jaxvae.nets.gemm import Pair
from jaxvae.types import Array


class PixelCNNCache(NamedTuple):
    """What is kept of the pixels before the present one; L layers of p features."""

    past: Past  # inputs
    above: Array  # [L - 1, B, W, p]  vertical features of the row above
    links: Array  # [L, B, W, 2 p]  what the vertical stack and the context add to the present row
    left: Array  # [L - 1, B, p]    horizontal features of the pixel to the left
    context: Array | None


class PixelCNN(nn.Module):
    """Features of every pixel from the inputs before it in raster order: [B, H, W, E] -> [B, H, W, p].

    Parameters: `vertical_l`, `horizontal_l`, `link_l` and `out_l` of layer l, and `of_context_l` if there is a context.

    Attributes:
      in_features: E, channels of the inputs.
      features: p.
      num_layers: L; each sees one pixel further than the one before.
      first_reach: pixels that the first layer sees each way, 2 of a 5x5 kernel.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    in_features: int
    features: int = 64
    num_layers: int = 6
    first_reach: int = 2
    dtype: Dtype | None = None

    def setup(self) -> None:
        gates, reach, layers = 2 * self.features, self.first_reach, range(self.num_layers)
        inputs = [self.in_features] + [self.features] * (self.num_layers - 1)
        # In the first layer the windows end a row above and a pixel to the left, in the others they include their own.
        above = [((reach, 2 * reach + 1), (reach, reach))] + [((2, 3), (1, 1))] * (self.num_layers - 1)
        beside = [((1, reach), (0, reach))] + [((1, 2), (0, 1))] * (self.num_layers - 1)
        self.vertical = [CausalConv(inputs[i], gates, *above[i], dtype=self.dtype) for i in layers]
        self.horizontal = [CausalConv(inputs[i], gates, *beside[i], dtype=self.dtype) for i in layers]
        self.link = [_dense(gates, self.dtype) for _ in layers]
        self.out = [_dense(self.features, self.dtype) for _ in layers]
        self.of_context = [_dense(2 * gates, self.dtype) for _ in layers]

    def __call__(self, h: Array, context: Array | None = None) -> Array:
        """Map inputs h [B, H, W, E], with a context [B, F] or [B, H, W, F] or None."""
        check_shape("inputs of a PixelCNN", h, (None, None, None, self.in_features))
        check_context(context, h.shape)
        v = h
        for i in range(self.num_layers):
            a, of_context = self._vertical(i, self.vertical[i](v), context)
            b = self.horizontal[i](h) + self.link[i](a) + of_context
            v, out = gate(a), self.out[i](gate(b))
            h = out if i == 0 else h + out
        return h

    # Pixel by pixel: the functions of `AutoregressiveNet`.

    def start(self, num: int, size: Pair, context: Array | None = None) -> PixelCNNCache:
        """Return the cache before the first of `num` images of a size (H, W)."""
        check_context(context, (num, *size))
        width, p, num_layers = size[1], self.features, self.num_layers
        zeros = functools.partial(jnp.zeros, dtype=self.dtype or jnp.float32)
        return PixelCNNCache(
            no_past(num, width, self.in_features, self.first_reach, self.dtype),
            zeros((num_layers - 1, num, width, p)),
            zeros((num_layers, num, width, 2 * p)),
            zeros((num_layers - 1, num, p)),
            context,
        )

    def start_row(self, cache: PixelCNNCache, i: Array) -> PixelCNNCache:
        """Compute the vertical stack of row i."""
        past = next_row(cache.past)
        v = past.rows
        above: list[Array] = []
        links = []
        for layer in range(self.num_layers):
            if layer:
                v = jnp.stack([cache.above[layer - 1], above[-1]], axis=1)
            a, of_context = self._vertical(layer, self.vertical[layer].row(v), _row_of(cache.context, i))
            links.append(self.link[layer](a) + of_context)
            above.append(gate(a))
        kept = jnp.stack(above[:-1]) if self.num_layers > 1 else cache.above
        return PixelCNNCache(past, kept, jnp.stack(links), jnp.zeros_like(cache.left), cache.context)

    def read(self, cache: PixelCNNCache, i: Array, j: Array) -> tuple[Array, PixelCNNCache]:
        """Return the features [B, p] of pixel (i, j), whose row was started and whose predecessors were written."""
        del i
        links = lax.dynamic_index_in_dim(cache.links, j, 2, keepdims=False)
        h = self.out[0](gate(self.horizontal[0].pixel(to_the_left(cache.past, j)) + links[0]))
        left = []
        for layer in range(1, self.num_layers):
            left.append(h)
            window = jnp.stack([cache.left[layer - 1], h], axis=1)
            h = h + self.out[layer](gate(self.horizontal[layer].pixel(window) + links[layer]))
        return h, cache._replace(left=jnp.stack(left) if left else cache.left)

    def write(self, cache: PixelCNNCache, h: Array, i: Array, j: Array) -> PixelCNNCache:
        """Keep the input h [B, E] of pixel (i, j)."""
        del i
        return cache._replace(past=with_pixel(cache.past, h, j))

    def _vertical(self, layer: int, a: Array, context: Array | None) -> tuple[Array, Array | float]:
        """Add the context to the vertical stack and return what it adds to the horizontal one."""
        if context is None:
            return a, 0.0
        to_a, to_b = jnp.split(self.of_context[layer](context), 2, axis=-1)
        if to_a.ndim < a.ndim:
            to_a, to_b = (jnp.expand_dims(term, range(1, a.ndim - 1)) for term in (to_a, to_b))
        return a + to_a, to_b


def gate(h: Array) -> Array:
    """Return tanh of one half of the features times the sigmoid of the other (eq. 2): [..., 2 p] -> [..., p]."""
    a, b = jnp.split(h, 2, axis=-1)
    return jnp.tanh(a) * jax.nn.sigmoid(b)


# ---------- private


def _dense(features: int, dtype: Dtype | None) -> nn.Dense:
    return nn.Dense(features, use_bias=False, dtype=dtype, kernel_init=fan_in_normal())


def _row_of(context: Array | None, i: Array) -> Array | None:
    if context is None or context.ndim == 2:
        return context
    return lax.dynamic_index_in_dim(context, i, 1, keepdims=False)
