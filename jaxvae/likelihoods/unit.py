"""Likelihoods of integer pixels for images in [0, 1], which is what networks read and figures show."""

import jax.numpy as jnp

from jaxvae.recipes import recorded
from jaxvae.types import Array, Likelihood


@recorded
def in_unit(likelihood: Likelihood, num_values: int) -> Likelihood:
    """Return a likelihood of integer values 0 to V - 1 with x, samples and means in [0, 1], x / (V - 1).

    Probabilities are the same, nats of the integers: nothing is rescaled but the unit. x in [0, 1] are rounded to the
    nearest level, so that float32 images need not be exact; others have log-probability -inf.

    Args:
      likelihood: `categorical`, `beta_binomial` or `logistic_mixture`.
      num_values: V, at least 2.

    Returns:
      The likelihood. It has no `log_pmf`, which is of integers.

    Raises:
      ValueError: if there are fewer than two values.
    """
    top = num_values - 1
    if top < 1:
        raise ValueError(f"Images of {num_values} values have no unit, expected at least 2.")
    start = likelihood.init_bias

    def levels(x: Array) -> Array:
        return jnp.where((x >= 0) & (x <= 1), jnp.round(x * top), -1.0)  # which is no value

    return likelihood._replace(
        log_prob=lambda params, x: likelihood.log_prob(params, levels(x)),
        sample=lambda key, params: likelihood.sample(key, params) / top,
        mean=lambda params: likelihood.mean(params) / top,
        log_pmf=None,
        init_bias=None if start is None else lambda mean: start(mean * top),
        perfect=None,  # of probabilities of integers, which are 1 at most
    )
