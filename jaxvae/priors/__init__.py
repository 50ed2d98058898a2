"""Priors p(z) of latents."""

from jaxvae.priors.flow import FlowPrior
from jaxvae.priors.mixture import MixturePrior
from jaxvae.priors.normal import StandardNormal, standard_normal
from jaxvae.priors.vamp import VampPrior

__all__ = ["FlowPrior", "MixturePrior", "StandardNormal", "VampPrior", "standard_normal"]
