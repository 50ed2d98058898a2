"""Gradients past a choice that has none, straight through or turned with the vector, and the commitment to it."""

import jax
import jax.numpy as jnp

from jaxvae.errors import check_shape
from jaxvae.types import Array

_SMALLEST = 1e-6  # norm below which a vector has no direction


def straight_through(z: Array, z_q: Array) -> Array:
    """Return z_q with the gradient of z: exactly the identity.

    Args:
      z: what the encoder gives, any shape.
      z_q: its code, the same shape; no gradient reaches it.

    Returns:
      The values of z_q to the last bit.

    References:
      van den Oord, Vinyals & Kavukcuoglu, "Neural Discrete Representation Learning", 2017, arXiv:1711.00937, sec. 3.2.
    """
    check_shape("z_q", z_q, z.shape)
    return jax.lax.stop_gradient(z_q) + (z - jax.lax.stop_gradient(z))


def rotation_trick(z: Array, z_q: Array) -> Array:
    """Return z_q with a gradient that turns and scales as z had to, to become z_q.

      z_q = s R z,   s = |z_q| / |z|,   R = I - 2 r r^T + 2 b a^T,   a = z / |z|,   b = z_q / |z_q|,
      r = (a + b) / |a + b|                                               (sec. 4)

    s and R are held constant, so that the gradient of z is s R^T times that of z_q: the angle between gradient and
    vector stays. The gradient is the straight-through one where z has no direction; where z_q is 0 it vanishes.

    Args:
      z: what the encoder gives, [..., D].
      z_q: its code, the same shape; no gradient reaches it.

    Returns:
      The values of z_q to the last bit.

    References:
      Fifty et al., "Restructuring Vector Quantization with the Rotation Trick", 2025, arXiv:2410.06424.
    """
    check_shape("z_q", z_q, z.shape)
    fixed, z_q = jax.lax.stop_gradient((z, z_q))
    size = _norm(fixed)
    a, b = fixed / jnp.maximum(size, _SMALLEST), z_q / jnp.maximum(_norm(z_q), _SMALLEST)
    r = (a + b) / jnp.maximum(_norm(a + b), _SMALLEST)
    turned = z - 2.0 * r * _dot(r, z) + 2.0 * b * _dot(a, z)
    moved = jnp.where(size > _SMALLEST, _norm(z_q) / jnp.maximum(size, _SMALLEST) * turned, z)
    return straight_through(moved, z_q)


def commitment(z: Array, z_q: Array) -> Array:
    """Return how far an example is from its codes, the mean square over its positions and channels.

    The gradient is of both: the caller stops that of one.

    Args:
      z: what the encoder gives, [B, ..., D].
      z_q: its codes, the same shape.

    Returns:
      [B].

    References:
      van den Oord et al. 2017, arXiv:1711.00937, eq. 3. Departs from it as their code does: a mean over the channels,
      where the equation has the sum.
    """
    check_shape("z_q", z_q, z.shape)
    return jnp.mean(jnp.square(z - z_q).reshape(z.shape[0], -1), axis=1)


# ---------- private


def _dot(a: Array, b: Array) -> Array:
    return jnp.sum(a * b, axis=-1, keepdims=True)


def _norm(x: Array) -> Array:
    return jnp.linalg.norm(x, axis=-1, keepdims=True)
