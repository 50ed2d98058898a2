"""A posterior of width one: latents with the noise of rounding, as learned compression trains them."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae.errors import check_shape
from jaxvae.keys import check_keys
from jaxvae.posteriors.batching import draw_each, score_each
from jaxvae.types import Array, PRNGKey

_APART = 4.0  # standard deviation of a new mean, for features of variance 1
_HALF = 0.5 + 1e-5  # and what float32 rounds away of a difference


class UniformPosterior(nn.Module):
    """A uniform distribution of width 1 whose mean is linear in the features (Ballé et al. 2017, eq. 13).

      q(z | x) = prod_d U(z_d; mean_d - 1/2, mean_d + 1/2)

    Its log-density is 0: -log p(z) of a prior that is as wide (`priors.BinnedPrior`) is the rate of the rounded mean,
    and the ELBO is rate + distortion.

    Parameters: `statistics`.

    Attributes:
      latent_dim: D.

    References:
      Ballé, Laparra & Simoncelli, "End-to-end Optimized Image Compression", 2017, arXiv:1611.01704.
    """

    latent_dim: int

    def setup(self) -> None:
        # Means as far apart as several widths: closer ones would drown in the noise, and be slow to come out of it.
        apart = nn.initializers.variance_scaling(_APART**2, "fan_in", "truncated_normal")
        self.statistics = nn.Dense(self.latent_dim, kernel_init=apart)

    def __call__(self, keys: PRNGKey, features: Array, num_samples: int) -> tuple[Array, Array, Array]:
        """Draw samples of the latent, reparameterised.

        Args:
          keys: [B]; sample s of example b uses fold_in(keys[b], s).
          features: [B, F].
          num_samples: S.

        Returns:
          z [S, B, D], log q(z | x) [S, B] in nats, which is 0, and the mean [B, D].
        """
        check_keys(keys)
        check_shape("features", features, (keys.shape[0], None))
        mean = self.params_of(features)
        z = draw_each(lambda key, mean: mean + jax.random.uniform(key, mean.shape) - 0.5, keys, mean, num_samples)
        return z, jnp.zeros(z.shape[:2]), mean

    def mean(self, keys: PRNGKey, features: Array, num_samples: int) -> Array:
        """Return E[z | x] of features [B, F], [B, D]; exact, so that keys and num_samples are not used."""
        del keys, num_samples
        return self.params_of(features)

    def params_of(self, features: Array) -> Array:
        """Return the mean, features [..., F] -> [..., D]."""
        return self.statistics(features)

    def log_prob(self, features: Array, z: Array) -> Array:
        """Return log q(z | x) of given latents, features [B, F] and z [S, B, D] -> [S, B], 0 or -inf."""
        check_shape("z", z, (None, None, self.latent_dim))
        inside = lambda mean, z: jnp.where(jnp.all(jnp.abs(z - mean) <= _HALF), 0.0, -jnp.inf)  # noqa: E731
        return score_each(inside, self.params_of(features), z)
