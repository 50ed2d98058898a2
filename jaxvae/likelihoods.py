"""Likelihoods p(x | parameters) of one image, as values.

`bernoulli()` returns a `Likelihood` as `optax.adam()` returns a transformation. A decoder asks `param_shapes` what to
produce and knows nothing else of the likelihood; an objective asks `log_prob`. Build them once, in `build()`: they are
closures, and two calls give two different values to `jax.jit`.
"""

import math

import jax
import jax.numpy as jnp

from jaxvae import distributions
from jaxvae.types import Array, Likelihood, PRNGKey


def bernoulli() -> Likelihood:
    """Independent Bernoulli pixels, parametrised by logits: the likelihood behind "BCE reconstruction".

    Parameters of one image: logits, of the shape of the image. `log_prob` is in nats, summed over the image.
    """

    def log_pmf(logits: Array) -> Array:
        return jnp.stack([jax.nn.log_sigmoid(-logits), jax.nn.log_sigmoid(logits)], axis=-1)

    def init_bias(mean: Array) -> Array:
        # A pixel that is always 0 in the data still gets a finite logit.
        probability = jnp.clip(mean, 1e-3, 1.0 - 1e-3)
        return jnp.log(probability) - jnp.log1p(-probability)

    return Likelihood(
        param_shapes=_like_image,
        log_prob=distributions.bernoulli_log_prob,
        sample=distributions.bernoulli_sample,
        mean=jax.nn.sigmoid,
        log_pmf=log_pmf,
        init_bias=init_bias,
    )


def gaussian(sigma: float = 1.0) -> Likelihood:
    """Independent Gaussian pixels of one fixed standard deviation: the likelihood behind "MSE reconstruction".

      log p(x) = -sum_i [ (x_i - mean_i)^2 / (2 sigma^2) + log(sigma) + log(2 pi) / 2 ]

    Parameters of one image: the mean, of the shape of the image. This is a density: it is comparable between
    models only for the same sigma and scale of x, and never with the nats of a discrete likelihood.

    Args:
      sigma: standard deviation of a pixel, in the unit of x.

    Returns:
      The likelihood; its `log_pmf` is None.

    Raises:
      ValueError: if sigma is not positive and finite.
    """
    if not 0 < sigma < math.inf:
        raise ValueError(f"gaussian needs a finite sigma > 0, got {sigma}.")
    log_constant = math.log(sigma) + 0.5 * math.log(2.0 * math.pi)

    def log_prob(mean: Array, x: Array) -> Array:
        return -jnp.sum(0.5 * jnp.square((x - mean) / sigma) + log_constant)

    def sample(key: PRNGKey, mean: Array) -> Array:
        return mean + sigma * jax.random.normal(key, mean.shape, mean.dtype)

    return Likelihood(
        param_shapes=_like_image,
        log_prob=log_prob,
        sample=sample,
        mean=lambda mean: mean,
        log_pmf=None,
        init_bias=lambda mean: mean,
    )


def _like_image(shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)
