"""The prior N(0, I) of Kingma & Welling 2014."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvae import distributions
from jaxvae.recipes import recorded
from jaxvae.types import Array, GaussianParams, PRNGKey, Recipe


class StandardNormal(NamedTuple):
    """N(0, I): a `Prior` without learned parameters."""

    log_prob: Callable[[Array], Array]
    sample: Callable[[PRNGKey, tuple[int, ...]], Array]
    kl: Callable[[GaussianParams], Array]  # q [..., D] -> KL(q || p) per dimension [..., D], nats
    recipe: Recipe | None = None

    kl_of = "diagonal Gaussian"  # the `family` of the posteriors that `kl` is of

    def tempered(self, z: Array, temperature: ArrayLike) -> Array:
        """Return draws [..., D] as those of N(0, temperature^2 I)."""
        return z * temperature


@recorded
def standard_normal() -> StandardNormal:
    """Return the prior N(0, I), for latents of any dimension."""
    log_prob = jnp.vectorize(distributions.standard_normal_log_prob, signature="(d)->()")
    return StandardNormal(log_prob=log_prob, sample=jax.random.normal, kl=distributions.normal_kl_to_standard)
