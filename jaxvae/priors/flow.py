"""A normalizing flow on N(0, I) as prior (Chen et al. 2017)."""

from typing import Any

import flax.linen as nn
import jax
from jax.typing import ArrayLike

from jaxvae import distributions
from jaxvae.flows.chain import check_inverse
from jaxvae.types import Array, PRNGKey


class FlowPrior(nn.Module):
    """Latents of N(0, I) that went through a flow: a `Prior`.

      z = f(e), e ~ N(0, I),    log p(z) = log N(f^-1(z); 0, I) - log|det df/de|

    It is scored by the inverse: a flow whose inverse is one pass (coupling flows, MAF) makes training fast, one whose
    forward map is (IAF) makes sampling fast.

    Attributes:
      flow: a `Flow` that needs no context.

    References:
      Chen et al., "Variational Lossy Autoencoder", 2017, arXiv:1611.02731, sec. 3.2.
    """

    flow: Any

    def log_prob(self, z: Array) -> Array:
        """Return log p(z), z [..., D] -> [...], nats."""
        check_inverse(self.flow)
        noise, log_det = self.flow.inverse(z.reshape(1, -1, z.shape[-1]))
        log_prob = jax.vmap(jax.vmap(distributions.standard_normal_log_prob))(noise) - log_det
        return log_prob.reshape(z.shape[:-1])

    def sample(self, key: PRNGKey, shape: tuple[int, ...]) -> Array:
        """Draw latents of a shape [..., D]."""
        noise = jax.random.normal(key, shape)
        return self.flow(noise.reshape(1, -1, shape[-1]))[0].reshape(shape)

    def tempered(self, z: Array, temperature: ArrayLike) -> Array:
        """Return draws [..., D] as those that the flow makes of N(0, temperature^2 I)."""
        check_inverse(self.flow)
        noise, _ = self.flow.inverse(z.reshape(1, -1, z.shape[-1]))
        return self.flow(temperature * noise)[0].reshape(z.shape)
