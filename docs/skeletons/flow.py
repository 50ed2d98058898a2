"""A flow to copy to `jaxvae/flows/`: the maths of one latent first, then a thin module that owns the parameters."""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from jaxvae.errors import check_shape
from jaxvae.flows.chain import ChainParams, chain, chain_inverse, through_layers
from jaxvae.types import Array


class ScalingParams(NamedTuple):
    """One flow, or K of them with a leading axis."""

    shift: Array  # [D]
    log_scale: Array  # [D]


def scaling(params: ScalingParams, z: Array) -> tuple[Array, Array]:
    """Apply one elementwise affine map to one latent.

      y = exp(log_scale) z + shift,    log|det dy/dz| = sum_d log_scale_d

    Args:
      params: shift [D], log_scale [D].
      z: one latent, [D].

    Returns:
      y [D] and log_det [].

    Raises:
      ValueError: if the parameters and z differ in shape.
    """
    check_shape("log_scale of a scaling", params.log_scale, z.shape)
    return jnp.exp(params.log_scale) * z + params.shift, jnp.sum(params.log_scale)


def scaling_inverse(params: ScalingParams, y: Array) -> tuple[Array, Array]:
    """Return the latent that is mapped to y, [D], and log_det [] of the forward map there."""
    return jnp.exp(-params.log_scale) * (y - params.shift), jnp.sum(params.log_scale)


class ScalingFlow(nn.Module):
    """K scalings in a row: a `Flow`.

    Attributes:
      latent_dim: D.
      num_flows: K; 0 is the identity.
      amortized: whether the parameters are linear in the context, or arrays of its own.
    """

    latent_dim: int
    num_flows: int
    amortized: bool = False

    def setup(self) -> None:
        shape, zeros = (self.latent_dim,), nn.initializers.zeros_init()
        self.layers = ChainParams(
            self.num_flows,
            shapes={"shift": shape, "log_scale": shape},
            inits={"shift": zeros, "log_scale": zeros},  # the identity at first
            amortized=self.amortized,
        )

    def __call__(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Map z [S, B, D], with a context [B, F] or None, to z [S, B, D] and log_det [S, B]."""
        return through_layers(self, lambda params, z: chain(scaling, ScalingParams(**params), z), z, context)

    def inverse(self, y: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Return what is mapped to y [S, B, D], and log_det [S, B] of the forward map there."""
        return through_layers(
            self, lambda params, y: chain_inverse(scaling_inverse, ScalingParams(**params), y), y, context
        )
