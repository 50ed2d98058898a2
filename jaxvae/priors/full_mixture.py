"""A learned mixture of Gaussians with full covariances as prior."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvae.errors import check_shape
from jaxvae.types import Array, PRNGKey

_LOG_2PI = math.log(2.0 * math.pi)


class FullMixturePrior(nn.Module):
    """A mixture of Gaussians with learned weights, means and covariances: a `Prior`.

      p(z) = sum_k pi_k N(z; mu_k, (U_k U_k^T)^-1),    log N = log|det U_k| - 1/2 |U_k^T (z - mu_k)|^2 - D/2 log(2 pi)

    U_k is an upper triangular factor of a precision, its diagonal kept as logarithms.

    It starts as components of covariance I around draws of N(0, I), none of which is like another.

    Parameters: `logits` [K], `mean` [K, D], `log_diagonal` [K, D], and `factor` [K, D, D], of which what is above the
    diagonal counts.

    Attributes:
      latent_dim: D.
      num_components: K.

    References:
      Jiang et al., "Variational deep embedding", 2017, arXiv:1611.05148 (a mixture as the prior of a VAE).
    """

    latent_dim: int
    num_components: int

    def setup(self) -> None:
        shape = (self.num_components, self.latent_dim)
        self.logits = self.param("logits", nn.initializers.zeros_init(), shape[:1])
        self.mean = self.param("mean", nn.initializers.normal(1.0), shape)
        self.log_diagonal = self.param("log_diagonal", nn.initializers.zeros_init(), shape)
        self.factor = self.param("factor", nn.initializers.zeros_init(), (*shape, self.latent_dim))

    def log_prob(self, z: Array) -> Array:
        """Return log p(z), z [..., D] -> [...], nats."""
        return jax.nn.logsumexp(self._joint(z), axis=-1)

    def sample(self, key: PRNGKey, shape: tuple[int, ...]) -> Array:
        """Draw latents of a shape [..., D]."""
        if shape[-1:] != (self.latent_dim,):
            raise ValueError(
                f"Latents of shape {list(shape)} are asked of a mixture, expected {self.latent_dim} dimensions."
            )
        which, noise = jax.random.split(key)
        chosen = jax.random.categorical(which, self.logits, shape=shape[:-1])
        white = jax.random.normal(noise, shape)[..., None]
        # U^-T e has the covariance (U U^T)^-1.
        turned = jax.scipy.linalg.solve_triangular(self._factors()[chosen], white, trans=1)
        return self.mean[chosen] + turned[..., 0]

    def tempered(self, z: Array, temperature: ArrayLike) -> Array:
        """Return draws [..., D] whose distance from the mean of their most probable component is scaled."""
        mean = self.mean[jnp.argmax(self._joint(z), axis=-1)]
        return mean + temperature * (z - mean)

    def _joint(self, z: Array) -> Array:
        """The logarithms of pi_k N(z; mu_k, ...), [..., K]."""
        check_shape("z of FullMixturePrior", z, (*z.shape[:-1], self.latent_dim))
        factors = self._factors()
        moved = jnp.einsum("kd,kde->ke", self.mean, factors)
        log_scale = jax.nn.log_softmax(self.logits) + jnp.sum(self.log_diagonal, axis=-1)

        def one(z: Array) -> Array:
            white = jnp.einsum("d,kde->ke", z, factors) - moved
            return log_scale - 0.5 * jnp.sum(jnp.square(white) + _LOG_2PI, axis=-1)

        return jnp.vectorize(one, signature="(d)->(k)")(z)

    def _factors(self) -> Array:
        """U, [K, D, D]."""
        return jnp.triu(self.factor, 1) + jax.vmap(jnp.diag)(jnp.exp(self.log_diagonal))
