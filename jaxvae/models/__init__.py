"""Models: networks and maths put together."""

from jaxvae.models.hierarchical import HierarchicalVAE
from jaxvae.models.relaxed import RelaxedDecoder, relaxed
from jaxvae.models.vae import VAE, draw_images, with_output_bias
from jaxvae.models.vqvae import VQVAE, CodedTerms, HierarchicalVQVAE

__all__ = [
    "VAE",
    "VQVAE",
    "CodedTerms",
    "HierarchicalVAE",
    "HierarchicalVQVAE",
    "RelaxedDecoder",
    "draw_images",
    "relaxed",
    "with_output_bias",
]
