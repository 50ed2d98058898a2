"""Convolutional VQ-VAEs with one grid of codes or two (VQ-VAE-2)."""

from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn

from jaxvae.models import VQVAE, HierarchicalVQVAE
from jaxvae.nets import Conv, ImageDecoder, MapDecoder, MapEncoder
from jaxvae.types import DataSpec, Likelihood


def convolutional_vqvae(
    spec: DataSpec,
    quantizer: nn.Module,
    likelihood: Likelihood,
    *,
    code_dim: int,
    channels: Sequence[int] = (32, 64),
    num_blocks: int = 0,
    levels: Literal[1, 2] = 1,
    dtype: Any = None,
) -> VQVAE | HierarchicalVQVAE:
    """Return a VQ-VAE whose encoder has convolutions of stride 2, and whose decoder mirrors it.

    Args:
      spec: of the data.
      quantizer: of maps of `code_dim` channels; the second grid has one of its own, with the same attributes.
      likelihood: of images in [0, 1].
      code_dim: D, channels of the maps that are quantised.
      channels: of the encoder's layers, each of which halves height and width.
      num_blocks: residual blocks of encoder and decoder.
      levels: grids of codes; the second one is coarser, of half the height and width.
      dtype: of the networks' arithmetic.

    Returns:
      The model.
    """
    width, halved = channels[-1], tuple(channels[::-1])
    decoder = ImageDecoder(
        MapDecoder(spec.shape, halved, num_blocks, dtype),
        likelihood.param_shapes(spec.shape),
        dtype,
        latent_axes=3,
    )
    if levels == 1:
        encoder = MapEncoder(code_dim, channels, num_blocks, dtype)
        return VQVAE(encoder, quantizer, decoder, likelihood)
    fine = [-(-side // 2 ** len(halved)) for side in spec.shape[:2]]
    return HierarchicalVQVAE(
        encoder=nn.Sequential([MapEncoder(width, channels, num_blocks, dtype), nn.relu]),
        top_encoder=MapEncoder(code_dim, (width,), num_blocks, dtype),
        top_quantizer=quantizer,
        top_decoder=MapDecoder([2 * side for side in fine], (width, width), num_blocks, dtype),
        to_bottom=Conv(code_dim, (1, 1), dtype=dtype),
        quantizer=quantizer.clone(),
        decoder=decoder,
        likelihood=likelihood,
    )
