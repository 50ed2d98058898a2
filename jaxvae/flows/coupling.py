"""Coupling flows: one part of the dimensions says how the other is stretched and moved (Dinh et al. 2017).

A layer is an actnorm, a mixing of the dimensions and a coupling. Both directions are closed forms and cost the same.

Shapes: K layers, S samples, B examples, D latent dimensions, of which T are transformed by a coupling, F features of
the context.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae.errors import check_shape
from jaxvae.flows.affine import MAX_LOG_SCALE, AffineParams, affine, affine_inverse, bounded
from jaxvae.flows.chain import Step, check_flow, check_num_flows, over_latents
from jaxvae.nets.mlp import MLP
from jaxvae.types import Array, Params

Mixing = Literal["reverse", "linear"]

_SMALLEST_SPREAD = 1e-5  # of a batch, relative to its mean: below it the values are a constant and its rounding


class Elementwise(NamedTuple):
    """A family of increasing maps of the real line: what a coupling does to each dimension of the other part."""

    num_params: int  # P, of one dimension; the map of P zeros is the identity
    forward: Step  # (params [T, P], z [T]) -> y [T], log_det []
    inverse: Step  # (params [T, P], y [T]) -> z [T], log_det [] of the forward map at z


def linear(lu: Array, z: Array) -> tuple[Array, Array]:
    """Multiply one latent by a matrix that is kept as its factors.

      y = P L (U + diag(exp(s))) z,  log|det dy/dz| = sum_d s_d         (Kingma & Dhariwal 2018, eq. 10 and 11)

    One array holds all factors: L below its diagonal, the bounded s of `affine` on it, U above it.

    Departs from Glow: P reverses the order and the diagonal is positive, where theirs are those of a random rotation,
    constants that belong to no parameter. An array of zeros is then the reversal alone.

    Args:
      lu: [D, D].
      z: one latent, [D].

    Returns:
      y [D] and log_det [].

    Raises:
      ValueError: if lu is not [D, D].

    References:
      Kingma & Dhariwal, "Glow: Generative flow with invertible 1x1 convolutions", 2018, arXiv:1807.03039.
    """
    lower, upper, log_det = _factors(lu, z)
    # The inverse undoes full products, not those that an accelerator rounds.
    exact = jax.lax.Precision.HIGHEST
    return jnp.dot(lower, jnp.dot(upper, z, precision=exact), precision=exact)[::-1], log_det


def linear_inverse(lu: Array, y: Array) -> tuple[Array, Array]:
    """Return the latent that `linear` maps to y, by two triangular systems, and its log-determinant.

    Args:
      lu: [D, D].
      y: [D].

    Returns:
      z [D] and log_det [] of the forward map.

    Raises:
      ValueError: if lu is not [D, D].
    """
    lower, upper, log_det = _factors(lu, y)
    z = jax.scipy.linalg.solve_triangular(lower, y[::-1], lower=True, unit_diagonal=True)
    return jax.scipy.linalg.solve_triangular(upper, z), log_det


class CouplingFlow(nn.Module):
    """K layers of actnorm, mixing and affine coupling: a `Flow`.

      y_a = z_a,  y_b = f(z_b; conditioner(z_a, context))         (Dinh et al. 2017, eq. 4 and 5)

    z_a are the first D // 2 dimensions, and f is `affine`. The last layer of the conditioner starts at zero, so that
    the flow starts with actnorms and mixings alone. Mixings move z_a to where it is transformed in the next layer.

    The actnorms start such that in the batch given to `init` each of their outputs has mean 0 and standard deviation 1
    in every dimension, in the direction in which the flow is initialised (Kingma & Dhariwal 2018, sec. 3.1). Dimensions
    that are constant in that batch are only moved.

    Attributes:
      latent_dim: D.
      num_flows: K; 0 is the identity.
      hidden: the width of each hidden layer of the conditioner, at least one.
      mixing: "reverse" the order of the dimensions, or `linear`, which starts as the reversal.
      amortized: whether the conditioners get the context too, added in their first layer.
    """

    latent_dim: int
    num_flows: int
    hidden: Sequence[int] = (64, 64)
    mixing: Mixing = "reverse"
    amortized: bool = False

    def __call__(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Map z [S, B, D], with a context [B, F] or None, to z [S, B, D] and log_det [S, B]."""
        return self._over(z, context, inverse=False)

    def inverse(self, y: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Return what is mapped to y [S, B, D], and log_det [S, B] of the forward map there."""
        return self._over(y, context, inverse=True)

    @nn.nowrap
    def elementwise(self) -> Elementwise:
        """Return the map of z_b."""
        return Elementwise(
            num_params=2,
            forward=lambda params, z: affine(AffineParams(*params.T), z),
            inverse=lambda params, y: affine_inverse(AffineParams(*params.T), y),
        )

    @nn.compact
    def _over(self, z: Array, context: Array | None, *, inverse: bool) -> tuple[Array, Array]:
        check_flow(self, z, context)
        name = type(self).__name__
        if self.mixing not in get_args(Mixing):
            raise ValueError(f"{name} has mixing {self.mixing!r}, expected one of {get_args(Mixing)}.")
        if not self.hidden:
            raise ValueError(f"{name} has no hidden layer, expected at least one width.")
        if self.amortized and context is None:
            raise ValueError(f"The conditioners of {name} depend on a context, expected [B, F], got None.")
        check_num_flows(name, self.variables.get("params", {}), self.num_flows)
        start = z, jnp.zeros(z.shape[:2], z.dtype)
        if self.num_flows == 0:
            return start
        layers = nn.scan(
            _Layer,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,
            length=self.num_flows,
            reverse=inverse,
        )
        layer = layers(self.hidden, self.mixing, self.elementwise(), inverse, name="layers")
        return layer(start, context if self.amortized else None)[0]


def actnorms(params: Params) -> tuple[Array, Array]:
    """Return the scales and shifts with which the layers of a `CouplingFlow` begin.

    Args:
      params: of the flow.

    Returns:
      Logarithms of the scales, and shifts, [K, D].
    """
    of_layers = params["layers"]["actnorm"]
    return bounded(of_layers["log_scale"]), of_layers["shift"]


def coupling(flow: CouplingFlow, params: Params, layer: Array, kept: Array) -> tuple[Array, Array]:
    """Return the scales and shifts of a layer's coupling.

    Args:
      flow: without a context.
      params: its parameters.
      layer: [] int32.
      kept: the dimensions that it is given, [B, D // 2].

    Returns:
      Logarithms of the scales, and shifts, of the other dimensions, [B, D - D // 2].
    """
    of_layer = jax.tree.map(lambda leaf: leaf[layer], params["layers"]["conditioner"])
    moved = flow.latent_dim - kept.shape[-1]
    out = _Conditioner(flow.hidden, 2 * moved).apply({"params": of_layer}, kept[None], None)
    log_scale, shift = jnp.moveaxis(jnp.asarray(out)[0].reshape(len(kept), moved, 2), -1, 0)
    return bounded(log_scale), shift


# ---------- private


def _factors(lu: Array, z: Array) -> tuple[Array, Array, Array]:
    """L, U with its diagonal, and the logarithm of their determinant."""
    check_shape("z of a linear map", z, (None,))
    check_shape("lu of a linear map", lu, (*z.shape, *z.shape))
    log_diagonal = bounded(jnp.diagonal(lu))
    lower = jnp.tril(lu, -1) + jnp.eye(len(lu), dtype=lu.dtype)
    return lower, jnp.triu(lu, 1) + jnp.diag(jnp.exp(log_diagonal)), jnp.sum(log_diagonal)


def _normalizing(z: Array, *, inverse: bool) -> dict[str, Array]:
    """Values of `AffineParams` whose map, or its inverse, gives z [S, B, D] mean 0 and standard deviation 1."""
    mean, std = jnp.mean(z, axis=(0, 1)), jnp.std(z, axis=(0, 1))
    spread = jnp.where(std > _SMALLEST_SPREAD * (1.0 + jnp.abs(mean)), std, 1.0)
    s = jnp.log(spread) if inverse else -jnp.log(spread)
    part = jnp.clip(s / MAX_LOG_SCALE, -0.999, 0.999)  # what is beyond the bound is left to the next layer
    shift = mean if inverse else -mean * jnp.exp(MAX_LOG_SCALE * part)
    return {"log_scale": MAX_LOG_SCALE * jnp.arctanh(part), "shift": shift}


class _Layer(nn.Module):
    """Actnorm, mixing and coupling, or their inverses in the other order: the body of a scan."""

    hidden: Sequence[int]
    mixing: Mixing
    elementwise: Elementwise
    inverse: bool

    @nn.compact
    def __call__(self, carry: tuple[Array, Array], context: Array | None) -> tuple[tuple[Array, Array], None]:
        z, total = carry
        parts: list[Callable[[Array, Array | None], tuple[Array, Array]]] = [self._actnorm, self._mix, self._couple]
        for part in reversed(parts) if self.inverse else parts:
            z, log_det = part(z, context)
            total = total + log_det
        return (z, total), None

    def _actnorm(self, z: Array, _: Array | None) -> tuple[Array, Array]:
        params = AffineParams(**self.param("actnorm", lambda _: _normalizing(z, inverse=self.inverse)))
        return over_latents(affine_inverse if self.inverse else affine, params, z, amortized=False)

    def _mix(self, z: Array, _: Array | None) -> tuple[Array, Array]:
        if self.mixing == "reverse":
            return z[:, :, ::-1], jnp.zeros(z.shape[:2], z.dtype)
        lu = self.param("lu", nn.initializers.zeros_init(), (z.shape[-1], z.shape[-1]))
        return over_latents(linear_inverse if self.inverse else linear, lu, z, amortized=False)

    def _couple(self, z: Array, context: Array | None) -> tuple[Array, Array]:
        kept, moved = jnp.split(z, [z.shape[-1] // 2], axis=-1)
        num_params = self.elementwise.num_params
        out = _Conditioner(self.hidden, moved.shape[-1] * num_params, name="conditioner")(kept, context)
        function = self.elementwise.inverse if self.inverse else self.elementwise.forward
        moved, log_det = jax.vmap(jax.vmap(function))(out.reshape(*moved.shape, num_params), moved)
        return jnp.concatenate([kept, moved], axis=-1), log_det


class _Conditioner(nn.Module):
    """From z_a [S, B, D - T] and a context [B, F] or None to all parameters of z_b, [S, B, features], at first 0.

    Its activations are tanh: z_a far away cannot ask for a map out of all proportion.
    """

    hidden: Sequence[int]
    features: int

    @nn.compact
    def __call__(self, kept: Array, context: Array | None) -> Array:
        first, *others = self.hidden
        if kept.shape[-1] == 0:  # D = 1: with nothing to depend on, the parameters are those of a constant
            kept = jnp.ones((*kept.shape[:-1], 1), kept.dtype)
        h = nn.Dense(first, name="first")(kept)
        if context is not None:
            h = h + nn.Dense(first, use_bias=False, name="context")(context)[None]
        h = MLP(others, nn.tanh, nn.initializers.lecun_normal(), name="mlp")(nn.tanh(h))
        return nn.Dense(self.features, kernel_init=nn.initializers.zeros_init(), name="last")(h)
