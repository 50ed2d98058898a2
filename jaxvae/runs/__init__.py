"""Runs: systems with configuration, checkpoints and folder; `load` restores them."""

from jaxvae.lazy import names_when_used

__getattr__ = names_when_used(__name__)  # modules
