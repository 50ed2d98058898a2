"""Sylvester flows: planar flows of M hidden units instead of one (van den Berg et al. 2018)."""

import functools
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae.errors import check_shape
from jaxvae.flows.chain import ChainParams, chain, chain_inverse, through_layers
from jaxvae.numerics import bisect
from jaxvae.types import Array

_SMALLEST = 1e-30  # of a squared norm and of a determinant: their quotient and logarithm stay finite
_SMALLEST_SINGULAR = 1e-6  # value of columns of norm 1 that float32 can tell from 0
_ORTHONORMALIZATIONS = 40  # at most: that value grows by 3/2 a step up to 1/2, and six more make it 1
_TOLERANCE = 1e-3  # of |Q^T Q - I|_F before the last step, which about squares it
# Not in the default precision of an accelerator, whose columns would not be orthonormal.
_matmul = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


class SylvesterParams(NamedTuple):
    """One Sylvester flow, or K of them with a leading axis."""

    q: Array  # [D, M], orthonormal columns
    triangles: Array  # [M, M]: R above the diagonal, and below it R~ transposed
    diagonal: Array  # [M], of R, before its tanh
    diagonal_tilde: Array  # [M], of R~, before its tanh
    b: Array  # [M], offsets


def sylvester(params: SylvesterParams, z: Array) -> tuple[Array, Array]:
    """Apply one Sylvester flow to one latent.

      y = z + Q R tanh(R~ Q^T z + b)                                                               (sec. 3.1)
      log|det dy/dz| = sum_i log|1 + (1 - tanh_i^2) r_ii r~_ii|        (theorem 1, R and R~ being triangular)
      r_ii = tanh(diagonal_i),  r~_ii = tanh(diagonal_tilde_i)

    r_ii r~_ii > -1 makes the map invertible (theorem 2). A factor is evaluated as
    tanh^2 + (1 - tanh^2)(1 + r_ii r~_ii), a sum of positive terms, and 1 + tanh(a) tanh(c) as
    cosh(a + c) / (cosh(a) cosh(c)): both keep their digits where r_ii r~_ii is near -1.

    Args:
      params: q [D, M], triangles [M, M], diagonal [M], diagonal_tilde [M], b [M].
      z: one latent, [D].

    Returns:
      y [D] and log_det [].

    Raises:
      ValueError: if the shapes do not fit together.

    References:
      van den Berg, Hasenclever, Tomczak & Welling, "Sylvester Normalizing Flows for Variational Inference", 2018,
      arXiv:1803.05649.
    """
    r, r_tilde = _triangular(params, z)
    t = jnp.tanh(_matmul(r_tilde, _matmul(params.q.T, z)) + params.b)
    return z + _matmul(params.q, _matmul(r, t)), jnp.sum(jnp.log(_slopes(params, t)))


def sylvester_inverse(params: SylvesterParams, y: Array) -> tuple[Array, Array]:
    """Return the latent that a Sylvester flow maps to y, and the flow's log-determinant there.

    There is no closed form. In v = Q^T z the map is v -> v + R tanh(R~ v + b), whose coordinate i depends on those from
    i on: from the last one upwards each is a rising function of one unknown, within |r_ii| of its target, and halving
    that interval finds it. One Newton step of all from there carries the gradient.

    Args:
      params: q [D, M], triangles [M, M], diagonal [M], diagonal_tilde [M], b [M].
      y: [D].

    Returns:
      z [D] and log_det [] of the forward map at z.

    Raises:
      ValueError: if the shapes do not fit together.
    """
    r, r_tilde = _triangular(params, y)
    target = _matmul(params.q.T, y)
    v = _solve(*jax.lax.stop_gradient((r, r_tilde, params.b, target)))
    t = jnp.tanh(_matmul(r_tilde, v) + params.b)
    off_diagonal = jnp.triu(_matmul(r * (1.0 - jnp.square(t))[None], r_tilde), 1)
    residual = v + _matmul(r, t) - target
    v = v - jax.scipy.linalg.solve_triangular(off_diagonal + jnp.diag(_slopes(params, t)), residual)
    t = jnp.tanh(_matmul(r_tilde, v) + params.b)
    return y - _matmul(params.q, _matmul(r, t)), jnp.sum(jnp.log(_slopes(params, t)))


def orthonormal(columns: Array) -> Array:
    """Return the orthonormal columns that are nearest to given ones (sec. 3.2, orthogonal flows).

      Q_0 = A / |A|_F,  Q_{k+1} = Q_k (I + (I - Q_k^T Q_k) / 2)

    The norm keeps the singular values within (0, 1], from where they all converge to 1.

    Departs from sec. 3.2 in the gradient, which is that of the limit and not that of the steps.

    Args:
      columns: A [D, M], M <= D, of rank M.

    Returns:
      Q [D, M], Q^T Q = I.

    Raises:
      ValueError: if there are more columns than dimensions.
    """
    check_shape("columns to be orthonormal", columns, (None, None))
    if columns.shape[1] > columns.shape[0]:
        raise ValueError(f"Of {columns.shape[0]} dimensions there are no {columns.shape[1]} orthonormal columns.")
    return _nearest(columns / jnp.sqrt(jnp.sum(jnp.square(columns)) + _SMALLEST))


def householder(vectors: Array) -> Array:
    """Return a product of reflections, the first one rightmost (sec. 3.2, Householder flows).

      Q = H_H ... H_1,  H_h = I - 2 v_h v_h^T / |v_h|^2

    Args:
      vectors: v [H, D], normals of the mirrors.

    Returns:
      Q [D, D], orthogonal.

    Raises:
      ValueError: if the vectors are not [H, D].
    """
    check_shape("vectors of reflections", vectors, (None, None))

    def one(q: Array, v: Array) -> tuple[Array, None]:
        v = v / jnp.sqrt(jnp.dot(v, v) + _SMALLEST)
        return q - 2.0 * jnp.outer(v, _matmul(v, q)), None

    return jax.lax.scan(one, jnp.eye(vectors.shape[1], dtype=vectors.dtype), vectors)[0]


class SylvesterFlow(nn.Module):
    """K Sylvester flows in a row: a `Flow`.

    Attributes:
      latent_dim: D.
      num_flows: K; 0 is the identity.
      kind: what Q is. "orthogonal": `num_columns` orthonormal columns. "householder": a product of `num_reflections`
        reflections. "triangular": the identity and the reversal of the coordinates in turn.
      num_columns: M, from 1 to D, of the orthogonal kind; of the others it is D.
      num_reflections: H, from 1 to D, of the Householder kind.
      amortized: whether the parameters are linear in the context, as in the paper, or arrays of its own.
    """

    latent_dim: int
    num_flows: int
    kind: Literal["orthogonal", "householder", "triangular"]
    num_columns: int | None = None
    num_reflections: int | None = None
    amortized: bool = False

    def setup(self) -> None:
        _check_kind(self)
        d = self.latent_dim
        m = self.num_columns if self.kind == "orthogonal" else d
        shapes: dict[str, Any] = {"triangles": (m, m), "diagonal": (m,), "diagonal_tilde": (m,), "b": (m,)}
        if self.kind == "orthogonal":
            shapes["vectors"] = (d, m)  # Q before it is orthonormal
        elif self.kind == "householder":
            shapes["vectors"] = (self.num_reflections, d)  # normals of the mirrors
        self.layers = ChainParams(
            self.num_flows,
            shapes=shapes,
            inits={
                "vectors": nn.initializers.normal(1.0),
                "triangles": nn.initializers.zeros_init(),
                "diagonal": nn.initializers.normal(0.1),
                "diagonal_tilde": nn.initializers.ones_init(),
                "b": nn.initializers.zeros_init(),
            },
            amortized=self.amortized,
        )

    def __call__(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Map z [S, B, D], with a context [B, F] or None, to z [S, B, D] and log_det [S, B]."""
        return through_layers(self, lambda params, z: chain(sylvester, self._with_q(params), z), z, context)

    def inverse(self, y: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Return what is mapped to y [S, B, D], and log_det [S, B] of the forward map there; found numerically."""
        return through_layers(
            self, lambda params, y: chain_inverse(sylvester_inverse, self._with_q(params), y), y, context
        )

    def _with_q(self, params: dict[str, Array]) -> SylvesterParams:
        """The parameters of all flows, each leaf [K, ...]."""
        params = dict(params)
        if self.kind == "triangular":
            identity = jnp.eye(self.latent_dim)[None]
            odd = (jnp.arange(self.num_flows) % 2 == 1)[:, None, None]
            return SylvesterParams(q=jnp.where(odd, identity[:, ::-1], identity), **params)
        make = orthonormal if self.kind == "orthogonal" else householder
        return SylvesterParams(q=jax.vmap(make)(params.pop("vectors")), **params)


# ---------- private


@jax.custom_jvp
def _nearest(columns: Array) -> Array:
    identity = jnp.eye(columns.shape[1], dtype=columns.dtype)

    def step(q: Array, gram: Array) -> Array:
        return _matmul(q, identity + 0.5 * (identity - gram))

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        count, _, gram = state
        return (count < _ORTHONORMALIZATIONS) & (jnp.linalg.norm(gram - identity) > _TOLERANCE)

    def one(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        count, q, gram = state
        q = step(q, gram)
        return count + 1, q, _matmul(q.T, q)

    start = (jnp.zeros((), jnp.int32), columns, _matmul(columns.T, columns))
    _, q, gram = jax.lax.while_loop(unfinished, one, start)
    return step(q, gram)


@_nearest.defjvp
def _nearest_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """A = Q P, P symmetric: dQ = Q W + (I - Q Q^T) dA P^-1 with an antisymmetric W, P W + W P = Q^T dA - dA^T Q."""
    (columns,), (tangent,) = primals, tangents
    q = _nearest(columns)
    p, v = jnp.linalg.eigh(_matmul(q.T, columns))
    p = jnp.maximum(p, _SMALLEST_SINGULAR)
    inside = _matmul(q.T, tangent)
    turn = _matmul(v.T, _matmul(inside - inside.T, v)) / (p[:, None] + p[None])
    across = _matmul(tangent - _matmul(q, inside), v) / p[None]
    return q, _matmul(_matmul(q, _matmul(v, turn)) + across, v.T)


def _triangular(params: SylvesterParams, z: Array) -> tuple[Array, Array]:
    """R and R~."""
    check_shape("z of a Sylvester flow", z, (None,))
    check_shape("q of a Sylvester flow", params.q, (len(z), None))
    m = params.q.shape[1]
    check_shape("triangles of a Sylvester flow", params.triangles, (m, m))
    for name in ("diagonal", "diagonal_tilde", "b"):
        check_shape(f"{name} of a Sylvester flow", getattr(params, name), (m,))
    r = jnp.triu(params.triangles, 1) + jnp.diag(jnp.tanh(params.diagonal))
    r_tilde = jnp.triu(params.triangles.T, 1) + jnp.diag(jnp.tanh(params.diagonal_tilde))
    return r, r_tilde


def _slopes(params: SylvesterParams, t: Array) -> Array:
    """The diagonal of the Jacobian in the coordinates Q^T z, [M]."""
    a, c = params.diagonal, params.diagonal_tilde
    smallest = 2.0 * jnp.exp(_log_2cosh(a + c) - _log_2cosh(a) - _log_2cosh(c))  # 1 + r_ii r~_ii
    return jnp.maximum(jnp.square(t) + (1.0 - jnp.square(t)) * smallest, _SMALLEST)


def _log_2cosh(x: Array) -> Array:
    return jnp.logaddexp(x, -x)


def _solve(r: Array, r_tilde: Array, b: Array, target: Array) -> Array:
    """The v with v + R tanh(R~ v + b) = target, [M], by bisection of one coordinate after another."""

    def coordinate(vt: tuple[Array, Array], i: Array) -> tuple[tuple[Array, Array], None]:
        v, t = vt  # solved from i + 1 on, 0 before
        scale, inner, shift, rest = r[i, i], r_tilde[i, i], _matmul(r_tilde[i], v) + b[i], target[i] - _matmul(r[i], t)
        s = bisect(lambda s: s + scale * jnp.tanh(inner * s + shift), rest, jnp.abs(scale))
        return (v.at[i].set(s), t.at[i].set(jnp.tanh(inner * s + shift))), None

    zeros = jnp.zeros_like(target)
    return jax.lax.scan(coordinate, (zeros, zeros), jnp.arange(len(target)), reverse=True)[0][0]


def _check_kind(flow: SylvesterFlow) -> None:
    kinds = {"orthogonal": "num_columns", "householder": "num_reflections", "triangular": None}
    if flow.kind not in kinds:
        raise ValueError(f"SylvesterFlow has kind {flow.kind!r}, expected one of {', '.join(kinds)}.")
    for kind, name in kinds.items():
        if name is None:
            continue
        count = getattr(flow, name)
        if kind != flow.kind and count is not None:
            raise ValueError(f"SylvesterFlow of kind {flow.kind} has {name} {count}, expected None: it is of {kind}.")
        if kind == flow.kind and (count is None or not 1 <= count <= flow.latent_dim):
            raise ValueError(f"SylvesterFlow of kind {kind} has {name} {count}, expected 1 to {flow.latent_dim}.")
