"""An encoder of images of which some pixels are known: latents given these alone."""

import flax.linen as nn
import jax.numpy as jnp

from jaxvae.priors import ConditionalFlowPrior
from jaxvae.types import Array, PRNGKey


class PartialPosterior(nn.Module):
    """r(z | known pixels), for any mask: a flow whose context are features of the known pixels and of the mask.

    Fitted by sum_x E_q(z|x)[log r(z | known pixels of x)] it tends to what q(z | x) is on average over images with
    these pixels, which is p(z | known pixels) if q(z | x) is the posterior.

    Attributes:
      encoder: images beside their masks, [B, H, W, C + 1] -> features [B, F].
      density: of latents given the features.

    References:
      Strauss & Oliva, "Posterior matching for arbitrary conditioning", 2022, arXiv:2201.12414.
      Ivanov, Figurnov & Vetrov, "Variational autoencoder with arbitrary conditioning", 2019, arXiv:1806.02382.
    """

    encoder: nn.Module
    density: ConditionalFlowPrior

    def log_prob(self, x: Array, known: Array, z: Array) -> Array:
        """Return log r(z | known pixels): x [B, H, W, C], known [B, H, W] and z [S, B, D] -> [S, B], nats."""
        return self.density.log_prob(z, self._features(x, known))

    def sample(self, keys: PRNGKey, x: Array, known: Array, latent_dim: int) -> Array:
        """Return latents, keys [B] -> [B, D]; unknown pixels of x may have any values."""
        return self.density.sample(keys, (latent_dim,), self._features(x, known))

    def _features(self, x: Array, known: Array) -> Array:
        mask = known[..., None]
        return self.encoder(jnp.concatenate([jnp.where(mask, x, 0.0), mask.astype(x.dtype)], axis=-1))
