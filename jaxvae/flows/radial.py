"""Radial flows: they pull latents towards a centre, or push them away from it (Rezende & Mohamed 2015, sec. 4.1)."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae.errors import check_shape
from jaxvae.flows.chain import ChainParams, chain, chain_inverse, through_layers
from jaxvae.types import Array

_SMALLEST = 1e-6  # of alpha and of m(beta): their quotient, the slope at the centre, and its gradients stay finite


class RadialParams(NamedTuple):
    """One radial flow, or K of them with a leading axis."""

    center: Array  # [D], z_0
    alpha: Array  # [], width of the hole or the heap, before it is constrained
    beta: Array  # [], strength of the pull or push, before it is constrained


def radial(params: RadialParams, z: Array) -> tuple[Array, Array]:
    """Apply one radial flow to one latent.

      y = z + beta_hat h(r) (z - z_0),  r = |z - z_0|,  h(r) = 1 / (alpha + r)                              (eq. 14)
      log|det dy/dz| = (D - 1) log(1 + beta_hat h(r)) + log(1 + beta_hat h(r) + beta_hat h'(r) r)           (eq. 14)
      beta_hat = -alpha + m(beta),  m(x) = log(1 + e^x)                                             (appendix A.2)

    beta_hat > -alpha makes the map invertible: on a ray from the centre it is r -> g r with g = (r + m) / (r + alpha),
    whose slope is (r + alpha g) / (r + alpha). The determinant is evaluated in these quotients of positive terms, which
    keep their digits where beta_hat is near -alpha.

    Departs from the paper, which does not say how alpha stays positive: alpha is the softplus of its parameter.
    Departs from appendix A.2 by 1e-6, which is added to alpha and to m(beta).

    Args:
      params: center [D], alpha [], beta [].
      z: one latent, [D].

    Returns:
      y [D] and log_det [].

    Raises:
      ValueError: if center and z differ in shape.

    References:
      Rezende & Mohamed, "Variational Inference with Normalizing Flows", 2015, arXiv:1505.05770.
    """
    alpha, m = _constrained(params, z)
    offset = z - params.center
    r = _norm(offset)
    return params.center + _stretch(alpha, m, r) * offset, _log_det(alpha, m, r, len(z))


def radial_inverse(params: RadialParams, y: Array) -> tuple[Array, Array]:
    """Return the latent that a radial flow maps to y, and the flow's log-determinant there.

    y lies on the ray from the centre through z, at a distance rho = r (r + m) / (r + alpha) (appendix A.2). So
    r^2 + (m - rho) r - rho alpha = 0, which has one root that is not negative.

    Args:
      params: center [D], alpha [], beta [].
      y: [D].

    Returns:
      z [D] and log_det [] of the forward map at z.

    Raises:
      ValueError: if center and y differ in shape.
    """
    alpha, m = _constrained(params, y)
    offset = y - params.center
    rho = _norm(offset)
    outside = rho > m
    # The larger root in size, and the other one from their product: neither is a difference of near numbers.
    larger = 0.5 * (jnp.where(outside, rho - m, m - rho) + jnp.sqrt(jnp.square(rho - m) + 4.0 * rho * alpha))
    r = jnp.where(outside, larger, rho * alpha / larger)
    return params.center + offset / _stretch(alpha, m, r), _log_det(alpha, m, r, len(y))


class RadialFlow(nn.Module):
    """K radial flows in a row: a `Flow`.

    Attributes:
      latent_dim: D.
      num_flows: K; 0 is the identity.
      amortized: whether the parameters are linear in the context, as in the paper, or arrays of its own.
    """

    latent_dim: int
    num_flows: int
    amortized: bool = False

    def setup(self) -> None:
        self.layers = ChainParams(
            self.num_flows,
            shapes={"center": (self.latent_dim,), "alpha": (), "beta": ()},
            inits={
                "center": nn.initializers.normal(1.0),
                "alpha": nn.initializers.zeros_init(),  # beta = alpha is the identity
                "beta": nn.initializers.normal(0.1),
            },
            amortized=self.amortized,
        )

    def __call__(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Map z [S, B, D], with a context [B, F] or None, to z [S, B, D] and log_det [S, B]."""
        return through_layers(self, lambda params, z: chain(radial, RadialParams(**params), z), z, context)

    def inverse(self, y: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Return what is mapped to y [S, B, D], and log_det [S, B] of the forward map there."""
        return through_layers(
            self, lambda params, y: chain_inverse(radial_inverse, RadialParams(**params), y), y, context
        )


# ---------- private


def _constrained(params: RadialParams, z: Array) -> tuple[Array, Array]:
    """Alpha, and m(beta) = alpha + beta_hat."""
    check_shape("z of a radial flow", z, (None,))
    check_shape("center of a radial flow", params.center, z.shape)
    check_shape("alpha of a radial flow", params.alpha, ())
    check_shape("beta of a radial flow", params.beta, ())
    return jax.nn.softplus(params.alpha) + _SMALLEST, jax.nn.softplus(params.beta) + _SMALLEST


def _norm(offset: Array) -> Array:
    """|offset|, with a gradient of 0 at 0, where it has none."""
    square = jnp.dot(offset, offset)
    return jnp.where(square > 0.0, jnp.sqrt(jnp.where(square > 0.0, square, 1.0)), 0.0)


def _stretch(alpha: Array, m: Array, r: Array) -> Array:
    return (r + m) / (r + alpha)


def _log_det(alpha: Array, m: Array, r: Array, dim: int) -> Array:
    stretch = _stretch(alpha, m, r)
    return (dim - 1) * jnp.log(stretch) + jnp.log((r + alpha * stretch) / (r + alpha))
