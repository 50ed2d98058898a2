"""A posterior whose draws go through a normalizing flow (Rezende & Mohamed 2015)."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxvae.flows.chain import check_inverse
from jaxvae.posteriors.gaussian import GaussianPosterior
from jaxvae.types import Array, GaussianParams, PRNGKey


class FlowPosterior(nn.Module):
    """A diagonal Gaussian whose draws go through a normalizing flow (Rezende & Mohamed 2015, eq. 7 and 15).

      z = f(z_0; x), z_0 ~ q_0(z | x),    log q(z | x) = log q_0(z_0 | x) - log|det dz/dz_0|

    Attributes:
      base: q_0.
      flow: a `Flow`; its context are the encoder's features.
    """

    base: GaussianPosterior
    flow: Any

    @property
    def latent_dim(self) -> int:
        """D."""
        return self.base.latent_dim

    def __call__(self, keys: PRNGKey, features: Array, num_samples: int) -> tuple[Array, Array, GaussianParams]:
        """Draw samples of the latent, reparameterised.

        Args:
          keys: [B]; sample s of example b uses fold_in(keys[b], s).
          features: [B, F].
          num_samples: S.

        Returns:
          z [S, B, D], log q(z | x) [S, B] in nats, and mean and log-variance of q_0, [B, D].
        """
        z, log_qz, stats = self.base(keys, features, num_samples)
        z, log_det = self.flow(z, features)
        return z, log_qz - log_det, stats

    def mean(self, keys: PRNGKey, features: Array, num_samples: int) -> Array:
        """Return the mean of samples of q(z | x) of features [B, F], [B, D]."""
        return jnp.mean(self(keys, features, num_samples)[0], axis=0)

    def params_of(self, features: Array) -> GaussianParams:
        """Return mean and log-variance of q_0, features [..., F] -> [..., D] each."""
        return self.base.params_of(features)

    def log_prob(self, features: Array, z: Array) -> Array:
        """Return log q(z | x) of given latents by the flow's inverse, features [B, F] and z [S, B, D] -> [S, B]."""
        check_inverse(self.flow)
        z, log_det = self.flow.inverse(z, features)
        return self.base.log_prob(features, z) - log_det
