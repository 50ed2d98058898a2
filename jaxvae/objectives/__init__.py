"""What models are trained for: variational bounds, and what is added to them."""

from jaxvae.objectives.bounds import dreg, elbo, elbo_analytic, free_bits, iwae, log_weights, stratified_elbo

__all__ = ["dreg", "elbo", "elbo_analytic", "free_bits", "iwae", "log_weights", "stratified_elbo"]
