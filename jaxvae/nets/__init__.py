"""Networks: features and parameters, nothing probabilistic."""

from jaxvae.nets.conv import Conv, ConvTranspose, fan_in_normal
from jaxvae.nets.dropout import dropout
from jaxvae.nets.image import ConvDecoder, ConvEncoder, ImageDecoder
from jaxvae.nets.mlp import MLP, MLPEncoder
from jaxvae.nets.resnet import ResidualBlock, ResNetDecoder, ResNetEncoder

__all__ = [
    "MLP",
    "Conv",
    "ConvDecoder",
    "ConvEncoder",
    "ConvTranspose",
    "ImageDecoder",
    "MLPEncoder",
    "ResNetDecoder",
    "ResNetEncoder",
    "ResidualBlock",
    "dropout",
    "fan_in_normal",
]
