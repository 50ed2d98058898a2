"""A normalizing flow on N(0, I) as the prior of latents given a class."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvae import distributions
from jaxvae.flows.chain import check_inverse
from jaxvae.keys import check_keys
from jaxvae.types import Array, PRNGKey


class ConditionalFlowPrior(nn.Module):
    """Latents of N(0, I) that went through a flow whose conditioners know the class: p(z | y).

      z = f(e; y), e ~ N(0, I),    log p(z | y) = log N(f^-1(z; y); 0, I) - log|det df/de|

    It is a `FlowPrior` (Chen et al. 2017) whose methods take a context, one for each example.

    Attributes:
      flow: an amortised `Flow` with an inverse.
    """

    flow: Any

    def log_prob(self, z: Array, context: Array) -> Array:
        """Return log p(z | y), z [..., B, D] and contexts [B, F] -> [..., B], nats."""
        check_inverse(self.flow)
        noise, log_det = self.flow.inverse(z.reshape(-1, *z.shape[-2:]), context)
        log_prob = jax.vmap(jax.vmap(distributions.standard_normal_log_prob))(noise) - log_det
        return log_prob.reshape(z.shape[:-1])

    def sample(self, keys: PRNGKey, shape: tuple[int, ...], context: Array) -> Array:
        """Draw a latent for every context: keys [N], shape (D,), contexts [N, F] -> [N, D]."""
        check_keys(keys, len(context))
        noise = jax.vmap(lambda key: jax.random.normal(key, shape))(keys)
        return self.flow(noise[None], context)[0][0]

    def tempered(self, z: Array, temperature: ArrayLike, context: Array) -> Array:
        """Return draws [N, D] as those that the flow makes of N(0, temperature^2 I), contexts [N, F]."""
        check_inverse(self.flow)
        noise, _ = self.flow.inverse(jnp.asarray(z)[None], context)
        return self.flow(temperature * noise, context)[0][0]
