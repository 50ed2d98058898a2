"""Models: networks and maths put together."""

from jaxvae.models.hierarchical import HierarchicalVAE
from jaxvae.models.vae import VAE, with_output_bias

__all__ = ["VAE", "HierarchicalVAE", "with_output_bias"]
