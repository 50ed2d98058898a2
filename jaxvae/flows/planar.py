"""Planar flows: they push latents away from, or towards, a hyperplane (Rezende & Mohamed 2015, sec. 4.1)."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae.errors import check_shape
from jaxvae.flows.chain import ChainParams, chain, chain_inverse, through_layers
from jaxvae.numerics import bisect
from jaxvae.types import Array

_SMALLEST = 1e-30  # of a squared norm and of a determinant: their quotient and logarithm stay finite


class PlanarParams(NamedTuple):
    """One planar flow, or K of them with a leading axis."""

    u: Array  # [D], direction of the push, before it is constrained
    w: Array  # [D], normal of the hyperplane
    b: Array  # [], its offset


def planar(params: PlanarParams, z: Array) -> tuple[Array, Array]:
    """Apply one planar flow to one latent.

      y = z + u_hat tanh(w.z + b)                                          (eq. 10)
      log|det dy/dz| = log|1 + u_hat.psi(z)|,  psi(z) = (1 - tanh^2) w     (eq. 11 and 12)
      u_hat = u + (m(w.u) - w.u) w / |w|^2,  m(x) = -1 + log(1 + e^x)      (appendix A.1)

    w.u_hat = m(w.u) > -1 makes the map invertible. The determinant is evaluated as tanh^2 + (1 - tanh^2)(1 + m(w.u)),
    a sum of positive terms, which keeps its digits where m(w.u) is near -1.

    Args:
      params: u [D], w [D], b [].
      z: one latent, [D].

    Returns:
      y [D] and log_det [].

    Raises:
      ValueError: if u, w and z differ in shape.

    References:
      Rezende & Mohamed, "Variational Inference with Normalizing Flows", 2015, arXiv:1505.05770.
    """
    u_hat, slope = _constrained(params, z)
    t = jnp.tanh(jnp.dot(params.w, z) + params.b)
    return z + u_hat * t, _log_det(slope, t)


def planar_inverse(params: PlanarParams, y: Array) -> tuple[Array, Array]:
    """Return the latent that a planar flow maps to y, and the flow's log-determinant there.

    There is no closed form. Along w the map is s -> s + m(w.u) tanh(s + b), which rises and stays within |m(w.u)| of s:
    halving that interval finds s = w.z, and one Newton step from there carries the gradient.

    Args:
      params: u [D], w [D], b [].
      y: [D].

    Returns:
      z [D] and log_det [] of the forward map at z.

    Raises:
      ValueError: if u, w and y differ in shape.
    """
    u_hat, slope = _constrained(params, y)
    wu, target = slope - 1.0, jnp.dot(params.w, y)
    fixed_wu, fixed_b, fixed_target = jax.lax.stop_gradient((wu, params.b, target))
    s = bisect(lambda s: s + fixed_wu * jnp.tanh(s + fixed_b), fixed_target, jnp.abs(fixed_wu))
    t = jnp.tanh(s + params.b)
    derivative = jnp.square(t) + (1.0 - jnp.square(t)) * slope
    s = s - (s + wu * t - target) / jnp.maximum(derivative, _SMALLEST)
    t = jnp.tanh(s + params.b)
    return y - u_hat * t, _log_det(slope, t)


class PlanarFlow(nn.Module):
    """K planar flows in a row: a `Flow`.

    Attributes:
      latent_dim: D.
      num_flows: K; 0 is the identity.
      amortized: whether the parameters are linear in the context, as in the paper, or arrays of its own.
    """

    latent_dim: int
    num_flows: int
    amortized: bool = False

    def setup(self) -> None:
        d = self.latent_dim
        self.layers = ChainParams(
            self.num_flows,
            shapes={"u": (d,), "w": (d,), "b": ()},
            inits={
                "u": nn.initializers.normal(0.1),
                "w": nn.initializers.normal(d**-0.5),
                "b": nn.initializers.zeros_init(),
            },
            amortized=self.amortized,
        )

    def __call__(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Map z [S, B, D], with a context [B, F] or None, to z [S, B, D] and log_det [S, B]."""
        return through_layers(self, lambda params, z: chain(planar, PlanarParams(**params), z), z, context)

    def inverse(self, y: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Return what is mapped to y [S, B, D], and log_det [S, B] of the forward map there; found numerically."""
        return through_layers(
            self, lambda params, y: chain_inverse(planar_inverse, PlanarParams(**params), y), y, context
        )


# ---------- private


def _constrained(params: PlanarParams, z: Array) -> tuple[Array, Array]:
    """u_hat, and 1 + w.u_hat."""
    check_shape("z of a planar flow", z, (None,))
    check_shape("w of a planar flow", params.w, z.shape)
    check_shape("u of a planar flow", params.u, z.shape)
    check_shape("b of a planar flow", params.b, ())
    square = jnp.dot(params.w, params.w)
    part = square / (square + _SMALLEST)  # 1 but for w = 0, whose flow is a translation
    wu = jnp.dot(params.w, params.u)
    softplus = jax.nn.softplus(wu)
    u_hat = params.u + (softplus - 1.0 - wu) * params.w / (square + _SMALLEST)
    return u_hat, (1.0 - part) * (1.0 + wu) + part * softplus


def _log_det(slope: Array, t: Array) -> Array:
    return jnp.log(jnp.maximum(jnp.square(t) + (1.0 - jnp.square(t)) * slope, _SMALLEST))
