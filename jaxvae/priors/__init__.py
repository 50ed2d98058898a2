"""Priors p(z) of one latent."""

from jaxvae.priors.normal import StandardNormal, standard_normal

__all__ = ["StandardNormal", "standard_normal"]
