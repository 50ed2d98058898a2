"""Networks by name: the choices of `--net` and `--prior`."""

from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp

from jaxvae.choices import Net
from jaxvae.errors import UserError
from jaxvae.flows import CouplingFlow
from jaxvae.models import VAE
from jaxvae.nets import (
    MLP,
    ConvDecoder,
    ConvEncoder,
    GatedConvDecoder,
    GatedConvEncoder,
    ImageDecoder,
    MLPEncoder,
    PixelCNN,
    PixelRNN,
    ResNetDecoder,
    ResNetEncoder,
    Transformer,
)
from jaxvae.nets.gemm import Pair
from jaxvae.nets.mlp import Activation
from jaxvae.posteriors import GaussianPosterior
from jaxvae.priors import ConditionalFlowPrior, FlowPrior, FullMixturePrior, RefittedPrior
from jaxvae.types import DataSpec, Likelihood

AutoregressiveNetName = Literal["pixelcnn", "pixelrnn", "transformer"]


def network_dtype(precision: str) -> Any:
    """Return the dtype of the networks' arithmetic by the name of a precision, `float32` or `bf16`."""
    return jnp.bfloat16 if precision == "bf16" else None


def gaussian_vae(
    net: Net,
    latent_dim: int,
    likelihood: Likelihood,
    spec: DataSpec,
    *,
    precision: str = "float32",
    activation: Activation = nn.relu,
    hidden: int = 256,
    channels: Sequence[int] = (32, 64),
    num_blocks: int | Sequence[int] = 1,
    remat: bool = False,
    prior: Literal["normal", "realnvp"] = "normal",
    num_flows: int = 4,
    mixture: int = 0,
    class_conditional: bool = False,
) -> VAE:
    """Return a VAE with a diagonal Gaussian posterior and one of four pairs of networks.

    Args:
      net: `mlp`, two layers of 400 units each way; `conv`, a convolution of stride 2 for every width and a dense layer,
        without which samples of the prior fall apart into strokes; `resnet`, residual blocks at every width; `gated`,
        gated convolutions at every size, the whole image's too.
      latent_dim: D.
      likelihood: of the images.
      spec: of the data.
      precision: of the networks' arithmetic, `float32` or `bf16`.
      activation: of the layers of `mlp`.
      hidden: units of the dense layer of `conv`.
      channels: of the maps of all but `mlp`, each of half the size of the one before; the decoder mirrors them.
      num_blocks: residual blocks in every stage of `resnet`, or in each of them.
      remat: whether the blocks of `resnet` are computed again for the gradient, which saves memory on GPU and TPU.
      prior: `normal`, N(0, I), or `realnvp`, couplings with two layers of 128 units each.
      num_flows: couplings of `realnvp`.
      mixture: components of the mixture of Gaussians that takes the place of `realnvp` when the training has ended; 0
        for none.
      class_conditional: whether the model is p(x | y): see `VAE`. `normal` stays as it is, independent of the class;
        the conditioners of `realnvp` are given it, p(z | y), and there is no mixture.

    Returns:
      The model.

    Raises:
      UserError: if it is conditional on classes and the data have none.
    """
    num_classes = spec.num_classes if class_conditional else 0
    if class_conditional and not num_classes:
        raise UserError("--class-conditional needs labels, which these data do not have: choose another --data.")
    shapes = likelihood.param_shapes(spec.shape)
    dtype = network_dtype(precision)
    mirrored = tuple(channels)[::-1]
    encoder: nn.Module
    decoder: nn.Module
    if net == "mlp":
        encoder, decoder = MLPEncoder((400, 400), activation, dtype=dtype), MLP((400, 400), activation, dtype=dtype)
    elif net == "conv":
        encoder = nn.Sequential([ConvEncoder(channels, dtype=dtype), MLP((hidden,), dtype=dtype)])
        decoder = nn.Sequential([MLP((hidden,), dtype=dtype), ConvDecoder(mirrored, spec.shape, dtype=dtype)])
    elif net == "gated":
        encoder = GatedConvEncoder(channels, dtype=dtype)
        decoder = GatedConvDecoder(spec.shape, mirrored, dtype=dtype)
    else:
        blocks = num_blocks if isinstance(num_blocks, int) else tuple(num_blocks)[::-1]
        encoder = ResNetEncoder(channels, num_blocks, dtype=dtype, remat=remat)
        decoder = ResNetDecoder(spec.shape, mirrored, blocks, dtype=dtype, remat=remat)
    image_decoder = ImageDecoder(decoder, shapes, dtype)
    vae = VAE(encoder, GaussianPosterior(latent_dim), image_decoder, likelihood, num_classes=num_classes)
    if prior == "normal":
        return vae
    if num_classes:
        return vae.clone(prior=ConditionalFlowPrior(CouplingFlow(latent_dim, num_flows, (128, 128), amortized=True)))
    flow = FlowPrior(CouplingFlow(latent_dim, num_flows, (128, 128)))
    return vae.clone(prior=RefittedPrior(flow, FullMixturePrior(latent_dim, mixture)) if mixture else flow)


def autoregressive_net(
    name: AutoregressiveNetName,
    in_features: int,
    size: Pair,
    features: int,
    num_layers: int,
    num_heads: int,
    dtype: Any = None,
) -> nn.Module:
    """Return an autoregressive network over pixels or codes.

    Args:
      name: which.
      in_features: channels of its inputs.
      size: (H, W) of the images or grids.
      features: channels of its layers.
      num_layers: of them.
      num_heads: of a transformer's attention.
      dtype: of the computation.
    """
    if name == "pixelcnn":
        return PixelCNN(in_features, features, num_layers, dtype=dtype)
    if name == "pixelrnn":
        return PixelRNN(in_features, features, num_layers, dtype=dtype)
    return Transformer(in_features, size, features, num_layers, num_heads, dtype)
