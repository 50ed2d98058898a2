"""How models call their decoders, and what is said of decoders that cannot be called so."""

import inspect
from typing import Any

import flax.linen as nn

from jaxvae.errors import UserError
from jaxvae.likelihoods.scoring import score_images
from jaxvae.types import Array, Likelihood


def decoded(decoder: Any, z: Array, x: Array | None = None) -> Any:
    """Return the likelihood's parameters of latents.

    Args:
      decoder: (z, x) -> parameters.
      z: latents [..., D], or maps of them [B, h, w, D].
      x: images, for decoders that read them.

    Returns:
      What the decoder gives.

    Raises:
      UserError: if the decoder does not take two arguments, or a reshape of it does not fit the leading axes of z.
    """
    first = decoder
    while isinstance(first, nn.Sequential) and first.layers:
        first = first.layers[0]  # which is given both arguments
    if not _takes(first, z, x):
        raise UserError(
            f"{_name(decoder)} is called with latents and images, but {type(first).__name__} does not take two "
            "arguments: write `def __call__(self, z, x=None)`; x may stay unused."
        )
    try:
        return decoder(z, x)
    except TypeError as error:
        if "reshape" not in str(error):
            raise
        raise UserError(
            f"{_name(decoder)} has a reshape that does not fit its latents of shape {list(z.shape)}: keep their "
            f"leading axes, of samples and examples, as `h.reshape(*z.shape[:-1], ...)` does; {error}"
        ) from error


def score_latents(
    likelihood: Likelihood, decoder: Any, z: Array, x: Array, *, latent_axes: int = 1, reads_x: bool = False
) -> Array:
    """Return log p(x | z).

    Args:
      likelihood: of one image.
      decoder: (z, x) -> its parameters.
      z: latents [..., B, D], or maps of them [B, h, w, D].
      x: images [B, ...].
      latent_axes: of z, those of one image.
      reads_x: whether the decoder is given the images.

    Returns:
      [..., B], nats.

    Raises:
      UserError: if the decoder cannot be called so, or gives not the parameters that such images have.
    """
    params = decoded(decoder, z, x if reads_x else None)
    return score_images(likelihood, params, x, z.shape[: z.ndim - latent_axes], _name(decoder))


# ---------- private


def _name(decoder: Any) -> str:
    return f"The decoder {type(decoder).__name__}"


def _takes(function: Any, *arguments: Any) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # a built-in function does not say what it takes
        return True
    return True
