"""Affine maps of each dimension: what couplings, actnorms and autoregressive layers do to a latent."""

from typing import NamedTuple

import jax.numpy as jnp

from jaxvae.errors import check_shape
from jaxvae.types import Array

MAX_LOG_SCALE = 3.0  # of one layer in one dimension, a factor of 20: a few of them in a row stay within float32


class AffineParams(NamedTuple):
    """An affine map of each of D dimensions."""

    log_scale: Array  # [D], before it is bounded
    shift: Array  # [D]


def affine(params: AffineParams, z: Array) -> tuple[Array, Array]:
    """Scale and move each dimension: an actnorm, an autoregressive layer, the part of a coupling that is transformed.

      y = z exp(s) + t,  log|det dy/dz| = sum_d s_d         (Dinh et al. 2017, eq. 5 and 6)
      s = c tanh(log_scale / c)

    Departs from both papers: s is bounded by the same c in couplings and actnorms, where Dinh et al. learn the bound of
    a coupling and Kingma & Dhariwal have none in theirs.

    Args:
      params: log_scale [D], shift [D].
      z: one latent, [D].

    Returns:
      y [D] and log_det [].

    Raises:
      ValueError: if log_scale, shift and z differ in shape.

    References:
      Dinh et al., "Density estimation using Real NVP", 2017, arXiv:1605.08803.
      Kingma & Dhariwal, "Glow: Generative flow with invertible 1x1 convolutions", 2018, arXiv:1807.03039.
    """
    log_scale = _checked_log_scale(params, z)
    return z * jnp.exp(log_scale) + params.shift, jnp.sum(log_scale)


def affine_inverse(params: AffineParams, y: Array) -> tuple[Array, Array]:
    """Return the latent that `affine` maps to y, (y - t) exp(-s), and its log-determinant there (eq. 8).

    Args:
      params: log_scale [D], shift [D].
      y: [D].

    Returns:
      z [D] and log_det [] of the forward map at z.

    Raises:
      ValueError: if log_scale, shift and y differ in shape.
    """
    log_scale = _checked_log_scale(params, y)
    return (y - params.shift) * jnp.exp(-log_scale), jnp.sum(log_scale)


def bounded(log_scale: Array) -> Array:
    """Return c tanh(log_scale / c), c = 3: the number itself near 0, and never more than c in size."""
    return MAX_LOG_SCALE * jnp.tanh(log_scale / MAX_LOG_SCALE)


# ---------- private


def _checked_log_scale(params: AffineParams, z: Array) -> Array:
    check_shape("z of an affine map", z, (None,))
    check_shape("log_scale of an affine map", params.log_scale, z.shape)
    check_shape("shift of an affine map", params.shift, z.shape)
    return bounded(params.log_scale)
