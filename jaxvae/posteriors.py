"""Posteriors q(z | x): from an encoder's features to samples and their log-densities."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae import distributions
from jaxvae.errors import check_shape
from jaxvae.flows.chain import check_inverse
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
        stats = self.params_of(features)
        over_examples = jax.vmap(distributions.normal_log_prob)
        in_axes = (0 if features.ndim == z.ndim else None, 0)
        return jax.vmap(over_examples, in_axes=in_axes)(stats, z)


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
