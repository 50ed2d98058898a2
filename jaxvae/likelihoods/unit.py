"""Likelihoods of integer pixels for images in [0, 1], which is what networks read and figures show."""

import jax.numpy as jnp

from jaxvae.recipes import recorded
from jaxvae.types import Likelihood


@recorded
def in_unit(likelihood: Likelihood, num_values: int) -> Likelihood:
    """Return a likelihood of integer values 0 to V - 1 with x, samples and means in [0, 1], x / (V - 1).

    Probabilities are the same, nats of the integers: nothing is rescaled but the unit. x are rounded to the nearest
    level, so that float32 images need not be exact.

    Args:
      likelihood: `categorical`, `beta_binomial` or `logistic_mixture`.
      num_values: V, at least 2.

    Returns:
      The likelihood; x outside [0, 1] have log-probability -inf, as levels outside 0 to V - 1 have. It has no
      `log_pmf`, which is of integers.
    """
    top = num_values - 1
    if top < 1:
        raise ValueError(f"Images of {num_values} values have no unit, expected at least 2.")
    start = likelihood.init_bias
    return likelihood._replace(
        log_prob=lambda params, x: likelihood.log_prob(params, jnp.round(x * top)),
        sample=lambda key, params: likelihood.sample(key, params) / top,
        mean=lambda params: likelihood.mean(params) / top,
        log_pmf=None,
        init_bias=None if start is None else lambda mean: start(mean * top),
    )
