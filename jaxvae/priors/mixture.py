"""A learned mixture of diagonal Gaussians as prior."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae import distributions
from jaxvae.errors import check_shape
from jaxvae.types import Array, GaussianParams, PRNGKey


class MixturePrior(nn.Module):
    """A mixture of Gaussians with learned weights, means and variances: a `Prior`.

      p(z) = sum_k pi_k N(z; mu_k, diag(sigma_k^2))

    It starts as components of variance 1 around draws of N(0, I), none of which is like another.

    Attributes:
      latent_dim: D.
      num_components: K.

    References:
      Tomczak & Welling, "VAE with a VampPrior", 2018, arXiv:1705.07120: their "MoG" baseline.
    """

    latent_dim: int
    num_components: int

    def setup(self) -> None:
        shape = (self.num_components, self.latent_dim)
        self.logits = self.param("logits", nn.initializers.zeros_init(), shape[:1])
        self.mean = self.param("mean", nn.initializers.normal(1.0), shape)
        self.log_var = self.param("log_var", nn.initializers.zeros_init(), shape)

    def log_prob(self, z: Array) -> Array:
        """Return log p(z), z [..., D] -> [...], nats."""
        check_shape("z of MixturePrior", z, (*z.shape[:-1], self.latent_dim))
        return mixture_log_prob(self.logits, GaussianParams(self.mean, self.log_var), z)

    def sample(self, key: PRNGKey, shape: tuple[int, ...]) -> Array:
        """Draw latents of a shape [..., D]."""
        return mixture_sample(key, self.logits, GaussianParams(self.mean, self.log_var), shape)


def mixture_log_prob(
    logits: Array, components: Any, z: Array, log_prob: Callable[[Any, Array], Array] = distributions.normal_log_prob
) -> Array:
    """Return the log-density of a mixture.

    Args:
      logits: of the weights, [K], not normalised.
      components: parameters of each, a pytree of arrays [K, D]: mean and log-variance of Gaussians.
      z: [..., D].
      log_prob: of one component, (parameters [D], z [D]) -> [], nats; by default of a Gaussian.

    Returns:
      [...], nats.
    """

    def one(z: Array) -> Array:
        each = jax.vmap(log_prob, in_axes=(0, None))(components, z)
        return jax.nn.logsumexp(jax.nn.log_softmax(logits) + each)

    return jnp.vectorize(one, signature="(d)->()")(z)


def mixture_sample(
    key: PRNGKey,
    logits: Array,
    components: Any,
    shape: tuple[int, ...],
    sample: Callable[[PRNGKey, Any], Array] = distributions.normal_sample,
) -> Array:
    """Draw from a mixture.

    Args:
      key: of the draws.
      logits: of the weights, [K], not normalised.
      components: parameters of each, a pytree of arrays [K, D]: mean and log-variance of Gaussians.
      shape: of the latents, [..., D].
      sample: of a component, (key, parameters of any shape) -> that shape; by default of a Gaussian.

    Raises:
      ValueError: if the shape ends in another dimension.
    """
    dim = jax.tree.leaves(components)[0].shape[1]
    if shape[-1:] != (dim,):
        raise ValueError(f"Latents of shape {list(shape)} are asked of a mixture, expected {dim} dimensions.")
    which, noise = jax.random.split(key)
    chosen = jax.random.categorical(which, logits, shape=shape[:-1])
    return sample(noise, jax.tree.map(lambda leaf: leaf[chosen], components))
