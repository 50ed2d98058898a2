"""The prior of a VAE: its quantiles, and whether it has another temperature."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.models import VAE, given_labels
from jaxvae.priors import StandardNormal
from jaxvae.types import Array, Params

SEED, DRAWS = 0, 10_000  # of the prior, where its quantiles have no closed form


def prior_quantiles(model: Any, params: Params, probabilities: Array) -> Array:
    """Return the quantiles of the latents that are decoded, of draws where they have no closed form, [P, D].

    Args:
      model: a VAE; of one that is conditional on classes, the prior of all of them in equal shares.
      params: its parameters.
      probabilities: [P].
    """
    keys, num_classes = jax.random.split(jax.random.key(SEED), DRAWS), getattr(model, "num_classes", 0)
    given = given_labels(model, jnp.arange(DRAWS) % max(1, num_classes))
    draw = lambda: model.apply({"params": params}, keys, method="prior_latents", **given)  # noqa: E731
    dim = jax.eval_shape(draw).shape[1]
    without = _without_quantiles(model, dim)
    normal = jnp.broadcast_to(jax.scipy.stats.norm.ppf(probabilities)[:, None], (len(probabilities), dim - without))
    if not without:
        return normal
    return jnp.concatenate([jnp.quantile(draw()[:, :without], probabilities, axis=0), normal], axis=1)


def can_temper(model: Any) -> bool:
    """Return whether a model draws latents at another temperature than 1."""
    return hasattr(model, "temper") and hasattr(model.prior, "tempered")


# ---------- private


def _without_quantiles(model: Any, dim: int) -> int:
    """How many of the latents that are decoded, the first ones, are not of N(0, 1)."""
    is_normal = isinstance(model.prior, StandardNormal)
    if hasattr(model, "group_shapes"):
        return 0 if is_normal else math.prod(model.group_shapes[0])
    return 0 if is_normal and isinstance(model, VAE) else dim
