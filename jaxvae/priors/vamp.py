"""The VampPrior: a mixture of the posteriors of learned images (Tomczak & Welling 2018)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae.errors import check_shape
from jaxvae.posteriors import GaussianPosterior
from jaxvae.priors.mixture import mixture_log_prob, mixture_sample
from jaxvae.types import Array, GaussianParams, PRNGKey


class VampPrior(nn.Module):
    """A mixture of q(z | u_k) over K learned images u_k, with the encoder of the VAE itself: a `Prior`.

      p(z) = 1/K sum_k q(z | u_k)                                         (eq. 9)

    Attributes:
      encoder: images [K, H, W, C] -> features [K, F]; the same module object as the VAE's, whose parameters it shares.
      posterior: a `GaussianPosterior`, the VAE's own.
      num_components: K.
      image_shape: (H, W, C).
      init_mean: of a pixel of the learned images at the start, in (0, 1).
      init_scale: standard deviation around it, before pixels are limited to [0, 1].

    References:
      Tomczak & Welling, "VAE with a VampPrior", 2018, arXiv:1705.07120. Departs from their code in the parameters of
      the images: logits of pixels, where the code has pixels limited to [0, 1] by a hard tanh, whose gradient vanishes.
    """

    encoder: Any
    posterior: Any
    num_components: int
    image_shape: tuple[int, ...]
    init_mean: float = 0.1
    init_scale: float = 1.0

    def setup(self) -> None:
        offset = jax.scipy.special.logit(jnp.float32(self.init_mean))

        def init(key: PRNGKey, shape: tuple[int, ...]) -> Array:
            return offset + self.init_scale * jax.random.normal(key, shape)

        self.pixel_logits = self.param("pixel_logits", init, (self.num_components, *self.image_shape))

    def log_prob(self, z: Array) -> Array:
        """Return log p(z), z [..., D] -> [...], nats."""
        components = self._components()
        check_shape("z of VampPrior", z, (*z.shape[:-1], components.mean.shape[-1]))
        return mixture_log_prob(jnp.zeros(self.num_components), components, z)

    def sample(self, key: PRNGKey, shape: tuple[int, ...]) -> Array:
        """Draw latents of a shape [..., D]."""
        return mixture_sample(key, jnp.zeros(self.num_components), self._components(), shape)

    def _components(self) -> GaussianParams:
        if not isinstance(self.posterior, GaussianPosterior):
            raise ValueError(
                f"VampPrior has the posterior {type(self.posterior).__name__}, expected GaussianPosterior."
            )
        return self.posterior.params_of(self.encoder(nn.sigmoid(self.pixel_logits)))
