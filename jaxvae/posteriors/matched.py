"""A Gaussian with the moments of another posterior, which can be scored anywhere."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae import distributions
from jaxvae.posteriors.batching import draw_each, score_each
from jaxvae.types import Array, GaussianParams, PRNGKey

_LEAST_VARIANCE = 1e-8  # of draws that are all the same


class MatchedPosterior(nn.Module):
    """The diagonal Gaussian with mean and variance of a posterior's draws.

    It is a proposal for importance sampling: unlike a flow without an inverse, it has a density at latents that it has
    not drawn itself. Its parameters are the posterior's own, in their places.

    Attributes:
      posterior: a `Posterior`.
      num_draws: that the moments are of, the same ones at every call.
    """

    posterior: nn.Module
    num_draws: int = 100

    def setup(self) -> None:
        nn.share_scope(self, self.posterior)

    @property
    def latent_dim(self) -> int:
        """D."""
        return self.posterior.latent_dim

    def __call__(self, keys: PRNGKey, features: Array, num_samples: int) -> tuple[Array, Array, GaussianParams]:
        """Draw samples: keys [B], features [B, F] -> z [S, B, D], log q(z) [S, B] in nats, mean and log-variance."""
        stats = self.params_of(features)
        z, log_qz = draw_each(distributions.normal_sample_and_log_prob, keys, stats, num_samples)
        return z, log_qz, stats

    def mean(self, keys: PRNGKey, features: Array, num_samples: int) -> Array:
        """Return E[z | x] of features [B, F], [B, D]; keys and num_samples are not used."""
        del keys, num_samples
        return self.params_of(features).mean

    def params_of(self, features: Array) -> GaussianParams:
        """Return mean and log-variance, features [B, F] -> [B, D] each."""
        keys = jnp.broadcast_to(jax.random.key(0), features.shape[:1])
        z = self.posterior(keys, features, self.num_draws)[0]
        return GaussianParams(jnp.mean(z, axis=0), jnp.log(jnp.var(z, axis=0) + _LEAST_VARIANCE))

    def log_prob(self, features: Array, z: Array) -> Array:
        """Return log q(z) of given latents, features [B, F] and z [S, B, D] -> [S, B], nats."""
        return score_each(distributions.normal_log_prob, self.params_of(features), z)
