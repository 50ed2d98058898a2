"""Functions with all primitives that the page has: what they give as programs is compared with JAX."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class Case(NamedTuple):
    function: object
    shapes: tuple  # of the inputs
    scale: float = 1.0
    positive: bool = False
    atol: float = 1e-6

    def inputs(self):
        random = np.random.default_rng(0)
        drawn = [self.scale * random.standard_normal(shape).astype(np.float32) for shape in self.shapes]
        return [np.abs(x) + np.float32(0.1) for x in drawn] if self.positive else drawn


def unary(x):
    half = jnp.round(4 * x) / 2  # halves among them
    return (
        *(-x, jnp.exp(x), jnp.exp2(x), jnp.expm1(x), jnp.tanh(x), jax.nn.sigmoid(x), jnp.cbrt(x), jnp.abs(x)),
        *(jnp.sign(x), jnp.floor(x), jnp.ceil(x), jnp.sin(x), jnp.cos(x), lax.erf(x), x**3, jnp.square(x), x**-2),
        *(jnp.round(half), lax.round(half, lax.RoundingMethod.AWAY_FROM_ZERO), jnp.isfinite(1 / jnp.floor(x))),
        *(
            half.astype(int),
            (half.astype(int) // 2),
            x % 0.7,
            lax.div(half.astype(int), 2),
            half.astype(bool),
            ~(x > 0),
        ),
    )


def binary(x, y):
    wide = x[:, :1], y[:1]  # JAX lets an axis of length 1 count for all in some functions
    return (
        *(x + y, x - y, x * y, x / y, jnp.maximum(x, y), jnp.minimum(x, y), jnp.arctan2(x, y), jnp.abs(x) ** y),
        *(x == y, x != y, x < y, x <= y, x > y, x >= y, (x > 0) & (y > 0), (x > 0) | (y > 0), (x > 0) ^ (y > 0)),
        *(jnp.where(x > y, x, y), jnp.where(x[0, 0] > 0, x, y), lax.select_n(x > 0, x, 2 * y)),
        *(jnp.clip(x, -0.5, 0.7), lax.clamp(0.0, x, 1.0), 2.0 * x + 1.0, wide[0] - wide[1]),
        jax.vmap(lambda one: x - one)(y.ravel()),
    )


def places(x):
    return (
        *(x.reshape(6, 20), x.transpose(2, 0, 1).reshape(8, 15), x[:, ::-1, 1:5:2], x[1:, 2:4], x[..., None, :]),
        *(jnp.broadcast_to(x[:, None], (3, 2, 5, 8)), x.swapaxes(0, 2).ravel()),
        *(jnp.split(x, [1, 3], 1)[2], jnp.split(x, 2, -1)[1], jnp.stack([x, 2 * x], 1), jnp.squeeze(x[:1], 0)),
        *(
            jnp.concatenate([x, x[:, ::-1], x[:, :2]], 1),
            jnp.flip(x, (0, 2)),
            jnp.arange(8.0)[None, None] + x,
            x.T[::-1],
        ),
        lax.pad(x, 7.0, ((1, 2, 0), (0, 0, 1), (2, 1, 2))),
        lax.pad(x, -1.0, ((-1, 1, 0), (2, -3, 0), (-3, -2, 1))),
        lax.pad(x, x[0, 0, 0], ((0, 0, 0), (-2, 3, 1), (-1, -5, 0))),
        lax.stop_gradient(x),
        jnp.stack([x, jnp.broadcast_to(x[0, 0, 0], x.shape)], -1),
        x.astype(jnp.bfloat16).astype(jnp.float32) * 0 + x,
    )


def reductions(x):
    truths = x > -1
    return (
        *(x.sum(), x.sum(0), x.sum((0, 2)), x.max(1), x.min(-1), x.prod(2), truths.all(1), truths.any((0, 1))),
        *(jax.nn.logsumexp(x, 1), jax.nn.softmax(x, -1), x.mean((1, 2)), x.var(0), jnp.linalg.norm(x, axis=2)),
    )


def products(x, y):
    return (
        *(
            x @ y.swapaxes(1, 2),
            jnp.einsum("bij,bkj->kib", x, y),
            jnp.tensordot(x, y, ((1, 2), (1, 2))),
            x[0, 0] @ y[0].T,
        ),
        *(jnp.einsum("ijk,ljk->jil", x, y), jnp.dot(x[0, 0], y[0, 0]), jnp.outer(x[0, 0], y[0, 0])),
    )


def convolutions(x, kernel, grouped):
    def conv(x, kernel, strides=(1, 1), padding="SAME", dimensions=("NHWC", "HWIO", "NHWC"), **more):
        return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=dimensions, **more)

    turned = x.transpose(0, 3, 1, 2), kernel.transpose(3, 2, 0, 1)
    return (
        conv(x, kernel),
        conv(x, kernel, (2, 2)),
        conv(x, kernel, (2, 1), ((2, 0), (-1, 3))),
        conv(x, kernel, padding="VALID", rhs_dilation=(2, 1)),
        lax.conv_transpose(x, kernel, (2, 2), "SAME"),
        lax.conv_transpose(x, kernel, (2, 3), "VALID"),
        conv(x, grouped, feature_group_count=2),
        conv(*turned, dimensions=("NCHW", "OIHW", "NCHW")),
        conv(*turned, dimensions=("NCHW", "OIHW", "NHWC")),
    )


def windows(x, index, mode):
    """x[:, i : i + 2, 1:3] for every index, which may lie outside."""
    numbers = lax.GatherDimensionNumbers(offset_dims=(0, 2, 3), collapsed_slice_dims=(), start_index_map=(1,))
    return lax.gather(x[..., 1:3], index[0][:, None], numbers, (2, 2, 2), mode=mode)


def gathers(x, y):
    index = jnp.clip(jnp.round(2 * y), 0, 3).astype(int)
    return (
        jnp.take_along_axis(x, index[..., None], -1)[..., 0],
        x[:, index[0]],
        jnp.take(x, index, axis=1, mode="clip"),
        jnp.take(x[0, 0], 3 * index, mode="fill"),
        jnp.take(x[0, 0], 3 * index, mode="clip"),
        *(windows(x, 3 * index - 2, mode) for mode in ("clip", "fill")),
    )


def scans(x, w):
    def one(carry, row):
        return jnp.tanh((carry @ row)[:, None] * row[None]) + 0.1, None

    def summed(carry, row):
        carry = carry + x[:, 0] * row[0]
        return carry, (carry, row[1] * 2)

    return (
        lax.scan(one, x, w)[0],  # as of flows
        lax.scan(one, x, w, reverse=True)[0],
        *lax.scan(summed, x[:, 1], w)[1],
        *lax.scan(summed, x[:, 1], w, reverse=True)[1],
        lax.fori_loop(0, 3, lambda i, y: 0.5 * y + 1, x),
    )


CASES = {
    "scans": Case(scans, ((2, 4), (3, 4)), 0.7, atol=1e-5),
    "unary": Case(unary, ((4, 30),), 1.5, atol=2e-5),
    "positive": Case(lambda x: (jnp.log(x), jnp.log1p(x), jnp.sqrt(x), lax.rsqrt(x), x**0.3), ((50,),), positive=True),
    "binary": Case(binary, ((5, 7), (5, 7)), atol=1e-5),
    "places": Case(places, ((3, 5, 8),)),
    "reductions": Case(reductions, ((3, 5, 8),), atol=1e-5),
    "products": Case(products, ((2, 5, 8), (2, 5, 8)), atol=1e-5),
    "wide products": Case(lambda x, y: (x @ y, x[:1] @ y, x[:3] @ y[:, :5]), ((9, 11), (11, 13)), atol=1e-5),
    "convolutions": Case(convolutions, ((2, 6, 7, 4), (3, 4, 4, 6), (3, 3, 2, 6)), 0.5, atol=1e-5),
    "gathers": Case(gathers, ((2, 3, 4), (2, 3))),
    "activations": Case(
        lambda x: tuple(getattr(jax.nn, name)(x) for name in ("relu", "silu", "gelu", "elu", "softplus", "leaky_relu")),
        ((4, 9),),
        3.0,
        atol=1e-5,
    ),
    "constants": Case(
        lambda x: (x + jnp.arange(6.0).reshape(2, 3), x + np.pi, jnp.ones((2, 3)), jnp.inf * x), ((2, 3),)
    ),
}
