"""PixelRNN with diagonal BiLSTM layers: every pixel before the present one is in the state of a recurrent net.

A layer has two LSTMs. The state of the first at a pixel follows from those to its left and above it,

  i, f, o, g = W x[i, j] + U [s[i, j - 1], s[i - 1, j]]
  c[i, j] = sigmoid(f) c[i, j - 1] + sigmoid(i) tanh(g),    s[i, j] = sigmoid(o) tanh(c[i, j])

and the second is its mirror image, from the right; its states are used a row further down, where all pixels that they
know of come before. On the image skewed by a pixel a row, both predecessors lie in the column before, so that one
`lax.scan` over H + W - 1 columns computes all rows. Sampling computes the first LSTM pixel by pixel, the second row by
row.

Departs from the paper: the second LSTM of the first layer reads the pixel itself too. What it reads there comes before
its pixel, so that nothing would know of the last pixel of a row in the row below but the first convolution, near it.

References:
  van den Oord et al., "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759, sec. 3.2 and 3.3.
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


class PixelRNNCache(NamedTuple):
    """What is kept of the pixels before the present one; L layers of p features."""

    past: Past  # inputs
    first: Array  # [B, W, p]    what the rows above and the context give the first layer in the present row
    inputs: Array  # [L, B, W, p]  inputs of the layers in the present row, and in the last one from the pixel on
    from_left: Array  # [L, B, W, p]   states of the first LSTMs, the same
    from_right: Array  # [L, B, W, p]  states of the second LSTMs in the row above
    state: Array  # [2, L, B, p]  cell and output of the first LSTMs at the pixel to the left
    context: Array | None


class PixelRNN(nn.Module):
    """Features of every pixel from the inputs before it in raster order: [B, H, W, E] -> [B, H, W, p].

    Parameters: `above` and `beside`, the masked convolution before the first layer, and `of_context` if there is a
    context; `own`; `to_left_l`, `to_right_l` and `out_l` of layer l, and `states` of all layers.

    Attributes:
      in_features: E, channels of the inputs.
      features: p.
      num_layers: L.
      first_reach: pixels that the first convolution sees each way, 3 of a 7x7 kernel.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    in_features: int
    features: int = 32
    num_layers: int = 4
    first_reach: int = 3
    dtype: Dtype | None = None

    def setup(self) -> None:
        p, reach, layers = self.features, self.first_reach, range(self.num_layers)
        self.above = CausalConv(self.in_features, p, (reach, 2 * reach + 1), (reach, reach), dtype=self.dtype)
        self.beside = CausalConv(self.in_features, p, (1, reach), (0, reach), dtype=self.dtype)
        self.of_context = nn.Dense(p, use_bias=False, dtype=self.dtype, kernel_init=fan_in_normal())
        # The gates i, f, o, g in turn; a cell forgets little at first.
        remember = lambda key, shape, dtype: jnp.repeat(jnp.array([0.0, 1.0, 0.0, 0.0], dtype), p)  # noqa: E731
        self.to_left = [nn.Dense(4 * p, dtype=self.dtype, bias_init=remember) for _ in layers]
        self.to_right = [nn.Dense(4 * p, dtype=self.dtype, bias_init=remember) for _ in layers]
        each = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal", batch_axis=(0, 1))
        self.own = nn.Dense(4 * p, use_bias=False, dtype=self.dtype, kernel_init=fan_in_normal())
        self.states = self.param("states", each, (self.num_layers, 2, 2 * p, 4 * p))
        self.out = [nn.Dense(p, dtype=self.dtype, kernel_init=fan_in_normal()) for _ in layers]

    def __call__(self, h: Array, context: Array | None = None) -> Array:
        """Map inputs h [B, H, W, E], with a context [B, F] or [B, H, W, F] or None."""
        check_shape("inputs of a PixelRNN", h, (None, None, None, self.in_features))
        check_context(context, h.shape)
        x = self.above(h) + self.beside(h)
        if context is not None:
            terms = self.of_context(context)
            x = x + (terms if context.ndim == 4 else terms[:, None, None])
        for layer in range(self.num_layers):
            left, right = self.to_left[layer](x), self.to_right[layer](x)
            right = right + self.own(h) if layer == 0 else right
            both = jnp.stack([left, right[:, :, ::-1]])
            from_left, mirrored = unskew(_diagonal_lstm(self._states(x.dtype)[layer], skew(both)), x.shape[2])
            from_above = jnp.pad(mirrored[:, :-1, ::-1], ((0, 0), (1, 0), (0, 0), (0, 0)))
            x = x + self.out[layer](from_left + from_above)
        return x

    # Pixel by pixel: the functions of `AutoregressiveNet`.

    def start(self, num: int, size: Pair, context: Array | None = None) -> PixelRNNCache:
        """Return the cache before the first of `num` images of a size (H, W)."""
        check_context(context, (num, *size))
        width, p, num_layers = size[1], self.features, self.num_layers
        zeros = functools.partial(jnp.zeros, dtype=self.dtype or jnp.float32)
        past = no_past(num, width, self.in_features, self.first_reach, self.dtype)
        of_row = zeros((num_layers, num, width, p))
        state = zeros((2, num_layers, num, p))
        return PixelRNNCache(past, zeros((num, width, p)), of_row, of_row, of_row, state, context)

    def start_row(self, cache: PixelRNNCache, i: Array) -> PixelRNNCache:
        """Compute the convolution of the rows above row i, and the second LSTMs of the row above it."""
        past = next_row(cache.past)
        first = self.above.row(past.rows)
        if cache.context is not None:
            context = cache.context
            first = first + (self.of_context(context)[:, None] if context.ndim == 2 else self.of_context(context[:, i]))
        right = [self.to_right[layer](cache.inputs[layer]) for layer in range(self.num_layers)]
        gates = jnp.stack([right[0] + self.own(past.rows[:, -1]), *right[1:]])
        states = self._states(gates.dtype)[:, 1]

        def one(state: tuple[Array, Array], column: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
            of_input, above = column  # [L, B, 4 p], [L, B, p]
            cell, output = state
            before = jnp.concatenate([output, above], axis=-1)
            state = _lstm(of_input + jnp.einsum("lbk,lkg->lbg", before, states), cell)
            return state, state[1]

        columns = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 2, 0), (gates, cache.from_right))
        nothing = jnp.zeros_like(cache.state)
        _, outputs = lax.scan(one, (nothing[0], nothing[1]), columns, reverse=True)
        from_right = jnp.where(i > 0, jnp.moveaxis(outputs, 0, 2), 0.0).astype(cache.from_right.dtype)
        return cache._replace(past=past, first=first, from_right=from_right, state=nothing)

    def read(self, cache: PixelRNNCache, i: Array, j: Array) -> tuple[Array, PixelRNNCache]:
        """Return the features [B, p] of pixel (i, j), whose row was started and whose predecessors were written."""
        del i
        at = lambda leaf: lax.dynamic_index_in_dim(leaf, j, leaf.ndim - 2, keepdims=False)  # noqa: E731
        x = at(cache.first) + self.beside.pixel(to_the_left(cache.past, j))
        above, from_right = at(cache.from_left), at(cache.from_right)
        inputs, cells, outputs = [], [], []
        for layer in range(self.num_layers):
            inputs.append(x)
            before = jnp.concatenate([cache.state[1, layer], above[layer]], axis=-1)
            gates = self.to_left[layer](x)
            gates = gates + jnp.dot(before, self._states(gates.dtype)[layer, 0])
            cell, output = _lstm(gates, cache.state[0, layer])
            cells.append(cell)
            outputs.append(output)
            x = x + self.out[layer](output + from_right[layer])
        put = lambda leaf, new: lax.dynamic_update_index_in_dim(leaf, jnp.stack(new), j, leaf.ndim - 2)  # noqa: E731
        return x, cache._replace(
            inputs=put(cache.inputs, inputs),
            from_left=put(cache.from_left, outputs),
            state=jnp.stack([jnp.stack(cells), jnp.stack(outputs)]),
        )

    def write(self, cache: PixelRNNCache, h: Array, i: Array, j: Array) -> PixelRNNCache:
        """Keep the input h [B, E] of pixel (i, j)."""
        del i
        return cache._replace(past=with_pixel(cache.past, h, j))

    def _states(self, dtype: Dtype) -> Array:
        return self.states.astype(dtype)


def skew(x: Array) -> Array:
    """Shift row i of maps i pixels to the right, zeros elsewhere: [..., H, W, C] -> [..., H, W + H - 1, C]."""
    height, width, channels = x.shape[-3:]
    # With H zeros after each row the rows of the flat map, read W + H - 1 at a time, start a pixel later each.
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, height), (0, 0)])
    flat = padded.reshape(*x.shape[:-3], height * (width + height), channels)
    return flat[..., : height * (width + height - 1), :].reshape(*x.shape[:-2], width + height - 1, channels)


def unskew(x: Array, width: int) -> Array:
    """Undo `skew`: [..., H, W + H - 1, C] -> [..., H, W, C]."""
    height, length, channels = x.shape[-3:]
    flat = x.reshape(*x.shape[:-3], height * length, channels)
    flat = jnp.pad(flat, [(0, 0)] * (x.ndim - 3) + [(0, height), (0, 0)])
    return flat.reshape(*x.shape[:-2], length + 1, channels)[..., :width, :]


# ---------- private


def _lstm(gates: Array, cell: Array) -> tuple[Array, Array]:
    """New cell and output of gates [..., 4 p] and the cell before [..., p]."""
    enter, keep, leave, new = jnp.split(gates, 4, axis=-1)
    cell = jax.nn.sigmoid(keep) * cell + jax.nn.sigmoid(enter) * jnp.tanh(new)
    return cell, jax.nn.sigmoid(leave) * jnp.tanh(cell)


def _diagonal_lstm(states: Array, gates: Array) -> Array:
    """Outputs of two LSTMs on skewed gates [2, B, H, W + H - 1, 4 p], with weights [2, 2 p, 4 p] of the states."""
    shape = (*gates.shape[:3], gates.shape[-1] // 4)

    def one(state: tuple[Array, Array], column: Array) -> tuple[tuple[Array, Array], Array]:
        cell, output = state  # [2, B, H, p]
        above = jnp.pad(output[:, :, :-1], ((0, 0), (0, 0), (1, 0), (0, 0)))
        before = jnp.concatenate([output, above], axis=-1)
        state = _lstm(column + jnp.einsum("sbhk,skg->sbhg", before, states), cell)
        return state, state[1]

    nothing = jnp.zeros(shape, gates.dtype)
    _, outputs = lax.scan(one, (nothing, nothing), jnp.moveaxis(gates, 3, 0))
    return jnp.moveaxis(outputs, 0, 3)
