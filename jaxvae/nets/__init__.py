from jaxvae.nets.image import ImageDecoder
from jaxvae.nets.mlp import MLP, MLPEncoder

__all__ = ["MLP", "ImageDecoder", "MLPEncoder"]
