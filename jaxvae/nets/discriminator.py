"""The discriminator of an adversarial system: one logit for every image, or for every pack of images or latent."""

import flax.linen as nn
import jax
from flax.typing import Dtype

from jaxvae.nets.mlp import MLP
from jaxvae.types import Array

SLOPE = 0.2  # of the leaky relu below zero (Radford et al. 2016)


class Discriminator(nn.Module):
    """Features of a network, and a logit that is read from them: x [B, ...] -> logits [B], features [B, F].

    A logit that is linear in the features of convolutions would be a sum over places, each of which sees a patch of the
    image: strokes would be judged, and never whether they belong together. A dense layer between sees all of them.

    There is no normalisation over the batch: every logit is of its own input, as gradient penalties need it. Within
    `nn.SpectralNorm` all its kernels have spectral norm 1 (Miyato et al. 2018, arXiv:1802.05957).

    Parameters: `net`, `head`, `logit`.

    Attributes:
      net: inputs [B, ...] -> features [B, F].
      hidden: units of the dense layers between the features and the logit.
      dtype: of their arithmetic; None takes that of features and parameters together.
    """

    net: nn.Module
    hidden: tuple[int, ...] = ()
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        features = self.net(x)
        h = MLP(self.hidden, leaky_relu, dtype=self.dtype, name="head")(features)
        return nn.Dense(1, name="logit")(h)[:, 0], features


def leaky_relu(h: Array) -> Array:
    """Return h where it is positive, a fifth of it elsewhere: gradients go through a discriminator everywhere.

    References:
      Radford et al., "Unsupervised representation learning with deep convolutional generative adversarial networks",
      2016, arXiv:1511.06434, sec. 3.
    """
    return jax.nn.leaky_relu(h, SLOPE)
