"""Find what does not belong: scores of how strange images are, thresholds, maps of where, and what detects by them."""

from jaxvae.lazy import names_when_used

__getattr__ = names_when_used(__name__)  # modules
