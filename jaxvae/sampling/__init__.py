"""Where to decode, and how to draw images pixel by pixel."""

from jaxvae.sampling.autoregressive import Draw, autoregressive, restricted_draw, tempered_draw
from jaxvae.sampling.given_pixels import LatentDensities, latents_given_pixels, log_known_pixels
from jaxvae.sampling.latent_paths import geodesic, linear, manifold, normed, spherical, traversal

__all__ = [
    "Draw",
    "LatentDensities",
    "autoregressive",
    "geodesic",
    "latents_given_pixels",
    "linear",
    "log_known_pixels",
    "manifold",
    "normed",
    "restricted_draw",
    "spherical",
    "tempered_draw",
    "traversal",
]
