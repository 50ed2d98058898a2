"""Normalizing flows: invertible maps of latents with their log-determinants, one file each.

Every flow is a Linen module, `flow(z, context) -> (z, log_det)`, and has `inverse(y, context) -> (z, log_det)`. In both
directions `log_det` is that of the forward map at z, so that log q(y) = log q_0(z) - log_det always.
"""

from jaxvae.flows.autoregressive import AutoregressiveFlow, autoregressive, autoregressive_inverse
from jaxvae.flows.chain import chain, chain_inverse
from jaxvae.flows.coupling import CouplingFlow
from jaxvae.flows.inverted import Inverted
from jaxvae.flows.path_gradient import PathSample, path_chain, path_step, standard_normal_path
from jaxvae.flows.planar import PlanarFlow, PlanarParams, planar, planar_inverse
from jaxvae.flows.radial import RadialFlow, RadialParams, radial, radial_inverse
from jaxvae.flows.spline import SplineCouplingFlow, SplineKnots, spline, spline_inverse, spline_knots
from jaxvae.flows.sylvester import (
    SylvesterFlow,
    SylvesterParams,
    householder,
    orthonormal,
    sylvester,
    sylvester_inverse,
)

__all__ = [
    "AutoregressiveFlow",
    "CouplingFlow",
    "Inverted",
    "PathSample",
    "PlanarFlow",
    "PlanarParams",
    "RadialFlow",
    "RadialParams",
    "SplineCouplingFlow",
    "SplineKnots",
    "SylvesterFlow",
    "SylvesterParams",
    "autoregressive",
    "autoregressive_inverse",
    "chain",
    "chain_inverse",
    "householder",
    "orthonormal",
    "path_chain",
    "path_step",
    "planar",
    "planar_inverse",
    "radial",
    "radial_inverse",
    "spline",
    "spline_inverse",
    "spline_knots",
    "standard_normal_path",
    "sylvester",
    "sylvester_inverse",
]
