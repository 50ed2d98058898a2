"""Where to decode, and how to draw images pixel by pixel."""

from jaxvae.sampling.autoregressive import autoregressive, restricted_draw
from jaxvae.sampling.latent_paths import linear, manifold, normed, spherical, traversal

__all__ = ["autoregressive", "linear", "manifold", "normed", "restricted_draw", "spherical", "traversal"]
