"""A trained model for programs without jaxvae: its functions as StableHLO, which JAX calls, or as ONNX."""

from jaxvae.exchange.functions import functions_of

__all__ = ["functions_of"]
