"""Posteriors q(z | x): from an encoder's features to samples and their log-densities."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae import distributions
from jaxvae.errors import check_shape
from jaxvae.types import Array, GaussianParams, PRNGKey


class GaussianPosterior(nn.Module):
    """A diagonal Gaussian whose mean and log-variance are linear in the features (Kingma & Welling 2014, eq. 9).

    It is a conditional Gaussian like any other: hierarchical models use it for p(z_1 | z_2) too.

    Attributes:
      latent_dim: D.
    """

    latent_dim: int

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
        check_shape("features", features, (keys.shape[0], None))
        stats = self.params_of(features)

        def draw(key: PRNGKey, one: GaussianParams, index: Array) -> tuple[Array, Array]:
            return distributions.normal_sample_and_log_prob(jax.random.fold_in(key, index), one)

        over_examples = jax.vmap(draw, in_axes=(0, 0, None))
        z, log_qz = jax.vmap(over_examples, in_axes=(None, None, 0))(keys, stats, jnp.arange(num_samples))
        return z, log_qz, stats

    def params_of(self, features: Array) -> GaussianParams:
        """Return mean and log-variance, features [..., F] -> [..., D] each."""
        mean, log_var = jnp.split(self.statistics(features), 2, axis=-1)
        return GaussianParams(mean, log_var)

    def log_prob(self, features: Array, z: Array) -> Array:
        """Return log q(z | x) of given latents, features [B, F] and z [S, B, D] -> [S, B], or both with S, nats."""
        check_shape("z", z, (None, None, self.latent_dim))
        stats = self.params_of(features)
        over_examples = jax.vmap(distributions.normal_log_prob)
        in_axes = (0 if features.ndim == z.ndim else None, 0)
        return jax.vmap(over_examples, in_axes=in_axes)(stats, z)
