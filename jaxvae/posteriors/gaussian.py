"""The diagonal Gaussian posterior of Kingma & Welling 2014."""

import flax.linen as nn
import jax.numpy as jnp

from jaxvae import distributions
from jaxvae.errors import check_shape
from jaxvae.keys import check_keys
from jaxvae.posteriors.batching import draw_each, score_each
from jaxvae.types import Array, GaussianParams, PRNGKey


class GaussianPosterior(nn.Module):
    """A diagonal Gaussian whose mean and log-variance are linear in the features (Kingma & Welling 2014, eq. 9).

    It is a conditional Gaussian like any other: hierarchical models use it for p(z_1 | z_2) too.

    Attributes:
      latent_dim: D.
    """

    latent_dim: int

    family = "diagonal Gaussian"  # of q(z | x), by which a prior knows whether its closed KL is of it

    def setup(self) -> None:
        self.statistics = nn.Dense(2 * self.latent_dim)  # mean and log-variance from one matrix product

    def __call__(self, keys: PRNGKey, features: Array, num_samples: int) -> tuple[Array, Array, GaussianParams]:
        """Draw samples of the latent, reparameterised.

        Args:
          keys: [B]; sample s of example b uses fold_in(keys[b], s).
          features: [B, F].
          num_samples: S.

        Returns:
          z [S, B, D], log q(z | x) [S, B] in nats, and mean and log-variance [B, D].
        """
        check_keys(keys)
        check_shape("features", features, (keys.shape[0], None))
        stats = self.params_of(features)
        z, log_qz = draw_each(distributions.normal_sample_and_log_prob, keys, stats, num_samples)
        return z, log_qz, stats

    def mean(self, keys: PRNGKey, features: Array, num_samples: int) -> Array:
        """Return E[z | x] of features [B, F], [B, D]; exact, so that keys and num_samples are not used."""
        del keys, num_samples
        return self.params_of(features).mean

    def params_of(self, features: Array) -> GaussianParams:
        """Return mean and log-variance, features [..., F] -> [..., D] each."""
        mean, log_var = jnp.split(self.statistics(features), 2, axis=-1)
        return GaussianParams(mean, log_var)

    def log_prob(self, features: Array, z: Array) -> Array:
        """Return log q(z | x) of given latents, features [B, F] and z [S, B, D] -> [S, B], or both with S, nats."""
        check_shape("z", z, (None, None, self.latent_dim))
        return score_each(distributions.normal_log_prob, self.params_of(features), z)
