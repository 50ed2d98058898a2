"""Normalizing flows: invertible maps of latents with their log-determinants, one file each.

Every flow is a Linen module, `flow(z, context) -> (z, log_det)`, and has `inverse(y, context) -> (z, log_det)`. In both
directions `log_det` is that of the forward map at z, so that log q(y) = log q_0(z) - log_det always.
"""

from jaxvae.flows.chain import chain, chain_inverse
from jaxvae.flows.planar import PlanarFlow, PlanarParams, planar, planar_inverse

__all__ = ["PlanarFlow", "PlanarParams", "chain", "chain_inverse", "planar", "planar_inverse"]
