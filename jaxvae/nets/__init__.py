"""Networks: features and parameters, nothing probabilistic."""

from jaxvae.nets.autoregressive import AutoregressiveDecoder
from jaxvae.nets.conv import Conv, ConvTranspose, fan_in_normal, interpolating
from jaxvae.nets.dropout import dropout
from jaxvae.nets.gated import GatedConvDecoder, GatedConvEncoder
from jaxvae.nets.image import ConvDecoder, ConvEncoder, Double, ImageDecoder
from jaxvae.nets.maps import GridContext, MapDecoder, MapEncoder
from jaxvae.nets.masked import MaskedConv, MaskedMLP, causal_mask
from jaxvae.nets.mlp import MLP, MLPEncoder
from jaxvae.nets.pixelcnn import PixelCNN
from jaxvae.nets.pixelrnn import PixelRNN
from jaxvae.nets.resnet import ResidualBlock, ResNetDecoder, ResNetEncoder
from jaxvae.nets.top_down import BottomUp, Enlarge, Group
from jaxvae.nets.transformer import Transformer

__all__ = [
    "MLP",
    "AutoregressiveDecoder",
    "BottomUp",
    "Conv",
    "ConvDecoder",
    "ConvEncoder",
    "ConvTranspose",
    "Double",
    "Enlarge",
    "GatedConvDecoder",
    "GatedConvEncoder",
    "GridContext",
    "Group",
    "ImageDecoder",
    "MLPEncoder",
    "MapDecoder",
    "MapEncoder",
    "MaskedConv",
    "MaskedMLP",
    "PixelCNN",
    "PixelRNN",
    "ResNetDecoder",
    "ResNetEncoder",
    "ResidualBlock",
    "Transformer",
    "causal_mask",
    "dropout",
    "fan_in_normal",
    "interpolating",
]
