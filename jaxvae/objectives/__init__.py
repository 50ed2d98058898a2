"""What models are trained for: variational bounds, and what is added to them; losses of adversaries."""

from jaxvae.objectives.adversarial import (
    feature_error,
    gradient_penalty,
    non_saturating_discriminator,
    non_saturating_generator,
    pack,
    relativistic_discriminator,
    relativistic_generator,
)
from jaxvae.objectives.bounds import dreg, elbo, elbo_analytic, free_bits, iwae, log_weights, stratified_elbo
from jaxvae.objectives.divergences import KLParts, decompose_kl, permute_dimensions

__all__ = [
    "KLParts",
    "decompose_kl",
    "dreg",
    "elbo",
    "elbo_analytic",
    "feature_error",
    "free_bits",
    "gradient_penalty",
    "iwae",
    "log_weights",
    "non_saturating_discriminator",
    "non_saturating_generator",
    "pack",
    "permute_dimensions",
    "relativistic_discriminator",
    "relativistic_generator",
    "stratified_elbo",
]
