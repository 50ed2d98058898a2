"""A trained VAE as a page to play with: one HTML file in which it runs in the browser."""

from jaxvae.explorer.page import explore

__all__ = ["explore"]
