"""A prior of two stages: one that is learned with the VAE, and one that is fitted to its latents afterwards."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvae.types import Array, PRNGKey


class RefittedPrior(nn.Module):
    """A prior that is learned with the rest, and a mixture with another when the training has ended: a `Prior`.

      p(z) = w p_fitted(z) + (1 - w) p_learned(z)

    Images of a kind lie in clusters. A normalizing flow is a continuous map of one Gaussian: it joins the clusters by
    bridges of latents that decode to nothing known. A mixture of Gaussians leaves them apart, so that many more samples
    are good ones; but new images that are far from all
    of its components are unlikely under it, which the share of the learned prior bounds, to log(1 - w) nats.

    Parameters: `learned` and `fitted`, before and after.

    Attributes:
      learned: the prior of the training.
      fitted: the other.
      refitted: whether the training has ended.
      weight: w.

    References:
      Ghosh et al., "From variational to deterministic autoencoders", 2020, arXiv:1903.12436, sec. 4: "ex-post density
      estimation", of the fitted prior alone.
    """

    learned: Any
    fitted: Any
    refitted: bool = False
    weight: float = 0.95

    def log_prob(self, z: Array) -> Array:
        """Return log p(z), z [..., D] -> [...], nats."""
        if self.refitted:
            return jnp.logaddexp(*self._joint(z))
        if self.is_initializing():
            self.fitted.log_prob(z)
        return self.learned.log_prob(z)

    def sample(self, key: PRNGKey, shape: tuple[int, ...]) -> Array:
        """Draw latents of a shape [..., D]."""
        if not self.refitted:
            return self.learned.sample(key, shape)
        which, fitted, learned = jax.random.split(key, 3)
        chosen = jax.random.bernoulli(which, self.weight, (*shape[:-1], 1))
        return jnp.where(chosen, self.fitted.sample(fitted, shape), self.learned.sample(learned, shape))

    def tempered(self, z: Array, temperature: ArrayLike) -> Array:
        """Return draws [..., D] at another temperature than 1, each by the prior that it is likelier of."""
        learned = self.learned.tempered(z, temperature)
        if not self.refitted:
            return learned
        of_fitted, of_learned = self._joint(z)
        return jnp.where((of_fitted > of_learned)[..., None], self.fitted.tempered(z, temperature), learned)

    def _joint(self, z: Array) -> tuple[Array, Array]:
        fitted, learned = self.fitted.log_prob(z), self.learned.log_prob(z)
        return math.log(self.weight) + fitted, math.log1p(-self.weight) + learned
