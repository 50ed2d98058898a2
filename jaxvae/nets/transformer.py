"""A causal Transformer over the pixels or codes of an image in raster order.

Pre-norm blocks; the input of a position is what stands at the position before it, and every row and every column has a
learned vector that is added to it (Parmar et al. 2018, "Image Transformer", sec. 3.1, there sines and cosines).
Sampling keeps the keys and values of all positions so far.

References:
  Vaswani et al., "Attention is all you need", 2017, arXiv:1706.03762.
  Radford et al., "Language models are unsupervised multitask learners", 2019 (pre-norm, the scale of residual layers).
  Chen et al., "Generative pretraining from pixels", 2020 (the same net on pixels: ImageGPT).
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype
from jax import lax

from jaxvae.errors import check_shape
from jaxvae.nets.causal import check_context
from jaxvae.nets.conv import fan_in_normal
from jaxvae.nets.gemm import Pair
from jaxvae.types import Array


class TransformerCache(NamedTuple):
    """Keys and values of the positions so far: L layers, T = H W positions, N heads of d features."""

    keys: Array  # [L, B, T, N, d]
    values: Array  # [L, B, T, N, d]
    last: Array  # [B, p]  what stands at the position before the present one
    context: Array | None


class Transformer(nn.Module):
    """Features of every pixel from the inputs before it in raster order: [B, H, W, E] -> [B, H, W, p].

    Parameters: `start`, what stands before the first pixel; `inputs`, `rows`, `columns`, and `of_context` if there is a
    context; `attention_l` (queries, keys and values in turn), `joined_l`, `expand_l` and `contract_l` of layer l, with
    `attention_norm_l` and `mlp_norm_l`; `norm`.

    Attributes:
      in_features: E, channels of the inputs.
      size: (H, W).
      features: p.
      num_layers: L.
      num_heads: N, a divisor of p.
      dtype: of the computation; parameters stay float32, and so do the norms and the sums of the residual layers.
    """

    in_features: int
    size: Pair
    features: int = 128
    num_layers: int = 4
    num_heads: int = 4
    dtype: Dtype | None = None

    def setup(self) -> None:
        if self.features % self.num_heads:
            raise ValueError(f"{self.num_heads} heads cannot share {self.features} features, expected a divisor.")
        p, layers = self.features, range(self.num_layers)
        # A sum of 2 L residual terms keeps the scale of its first.
        residual = fan_in_normal(1.0 / (2 * self.num_layers))
        small = nn.initializers.normal(0.02)
        self.inputs, self.of_context = nn.Dense(p, dtype=self.dtype), nn.Dense(p, use_bias=False, dtype=self.dtype)
        self.first = self.param("start", small, (p,))
        self.rows = self.param("rows", small, (self.size[0], p))
        self.columns = self.param("columns", small, (self.size[1], p))
        self.attention = [nn.Dense(3 * p, dtype=self.dtype) for _ in layers]
        self.joined = [nn.Dense(p, dtype=self.dtype, kernel_init=residual) for _ in layers]
        self.expand = [nn.Dense(4 * p, dtype=self.dtype) for _ in layers]
        self.contract = [nn.Dense(p, dtype=self.dtype, kernel_init=residual) for _ in layers]
        self.attention_norm = [nn.LayerNorm() for _ in layers]
        self.mlp_norm = [nn.LayerNorm() for _ in layers]
        self.norm = nn.LayerNorm()

    def __call__(self, h: Array, context: Array | None = None) -> Array:
        """Map inputs h [B, H, W, E], with a context [B, F] or [B, H, W, F] or None."""
        check_shape("inputs of a Transformer", h, (None, *self.size, self.in_features))
        check_context(context, h.shape)
        num, length = h.shape[0], math.prod(self.size)
        h = self.inputs(h).astype(jnp.float32).reshape(num, length, -1)
        first = jnp.broadcast_to(self.first, (num, 1, self.features))
        h = jnp.concatenate([first, h[:, :-1]], axis=1) + self._positions()[None]
        if context is not None:
            terms = self.of_context(context).astype(jnp.float32)
            h = h + (terms[:, None] if context.ndim == 2 else terms.reshape(num, length, -1))
        for layer in range(self.num_layers):
            q, k, v = self._heads(layer, h)
            h = self._rest(layer, h, jax.nn.dot_product_attention(q, k, v, is_causal=True))
        return self.norm(h).reshape(num, *self.size, -1)

    # Pixel by pixel: the functions of `AutoregressiveNet`.

    def start(self, num: int, size: Pair, context: Array | None = None) -> TransformerCache:
        """Return the cache before the first of `num` images of a size (H, W), which is that of the net."""
        if tuple(size) != tuple(self.size):
            raise ValueError(f"A Transformer of {self.size[0]}x{self.size[1]} pixels is asked for {size[0]}x{size[1]}.")
        check_context(context, (num, *size))
        heads = (self.num_layers, num, math.prod(size), self.num_heads, self.features // self.num_heads)
        zeros = jnp.zeros(heads, self.dtype or jnp.float32)
        return TransformerCache(zeros, zeros, jnp.broadcast_to(self.first, (num, self.features)), context)

    def start_row(self, cache: TransformerCache, i: Array) -> TransformerCache:
        """Return the cache as it is: attention knows no rows."""
        del i
        return cache

    def read(self, cache: TransformerCache, i: Array, j: Array) -> tuple[Array, TransformerCache]:
        """Return the features [B, p] of pixel (i, j), whose predecessors were written."""
        place = i * self.size[1] + j
        h = cache.last + lax.dynamic_index_in_dim(self._positions(), place)
        if cache.context is not None:
            here = cache.context if cache.context.ndim == 2 else cache.context[:, i, j]
            h = h + self.of_context(here).astype(jnp.float32)
        h, keys, values = h[:, None], cache.keys, cache.values
        seen = (jnp.arange(keys.shape[2]) <= place)[None, None, None]
        for layer in range(self.num_layers):
            q, k, v = self._heads(layer, h)
            keys = lax.dynamic_update_slice(keys, k[None], (layer, 0, place, 0, 0))
            values = lax.dynamic_update_slice(values, v[None], (layer, 0, place, 0, 0))
            h = self._rest(layer, h, jax.nn.dot_product_attention(q, keys[layer], values[layer], mask=seen))
        return self.norm(h)[:, 0], cache._replace(keys=keys, values=values)

    def write(self, cache: TransformerCache, h: Array, i: Array, j: Array) -> TransformerCache:
        """Keep the input h [B, E] of pixel (i, j)."""
        del i, j
        return cache._replace(last=self.inputs(h).astype(jnp.float32))

    def _positions(self) -> Array:
        return (self.rows[:, None] + self.columns[None]).reshape(-1, self.features)

    def _heads(self, layer: int, h: Array) -> tuple[Array, ...]:
        """Queries, keys and values of h [B, T, p], [B, T, N, d] each."""
        joint = self.attention[layer](self.attention_norm[layer](h))
        return tuple(part.reshape(*h.shape[:2], self.num_heads, -1) for part in jnp.split(joint, 3, axis=-1))

    def _rest(self, layer: int, h: Array, attended: Array) -> Array:
        """Add what was attended to [B, T, N, d], and the layer's MLP."""
        h = h + self.joined[layer](attended.reshape(h.shape)).astype(jnp.float32)
        hidden = nn.gelu(self.expand[layer](self.mlp_norm[layer](h)))
        return h + self.contract[layer](hidden).astype(jnp.float32)
