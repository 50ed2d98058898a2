"""Flows in the other direction: what is quick becomes the inverse, and what is slow the map."""

from typing import Any

import flax.linen as nn

from jaxvae.flows.chain import check_flow, check_inverse
from jaxvae.types import Array


class Inverted(nn.Module):
    """The inverse of a flow: a `Flow` again.

    A masked autoregressive flow is `Inverted(AutoregressiveFlow(...))`: its density takes one pass of the nets a layer,
    a sample D of them. Parameters: those of the flow, under `flow`.

    Attributes:
      flow: a `Flow` that has an inverse.

    References:
      Papamakarios et al., "Masked Autoregressive Flow for Density Estimation", 2017, arXiv:1705.07057, sec. 3.
    """

    flow: Any

    @property
    def latent_dim(self) -> int:
        """D of the flow."""
        return self.flow.latent_dim

    @property
    def num_flows(self) -> int:
        """K of the flow."""
        return self.flow.num_flows

    def __call__(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Map z [S, B, D], with a context [B, F] or None, to z [S, B, D] and log_det [S, B]."""
        check_inverse(self.flow)
        check_flow(self, z, context)
        y, log_det = self.flow.inverse(z, context)
        return y, -log_det

    def inverse(self, y: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Return what is mapped to y [S, B, D], and log_det [S, B] of the forward map there."""
        check_flow(self, y, context)
        z, log_det = self.flow(y, context)
        return z, -log_det
