"""Priors p(z) of one latent."""

from jaxvae.priors.standard_normal import StandardNormal, standard_normal

__all__ = ["StandardNormal", "standard_normal"]
