"""A likelihood to copy to `jaxvae/likelihoods/`: pixels with a Laplace distribution of a fixed scale."""

import math

import jax
import jax.numpy as jnp

from jaxvae.likelihoods.pixels import like_image
from jaxvae.recipes import recorded
from jaxvae.types import Array, Likelihood, PRNGKey


@recorded  # a model with it can be saved and loaded
def laplace(scale: float = 0.1) -> Likelihood:
    """Independent Laplace pixels of one fixed scale: the likelihood behind absolute errors.

      log p(x) = -sum_i [ |x_i - mean_i| / scale + log(2 scale) ]

    Parameters of one image: the mean, of the shape of the image. This is a density.

    Args:
      scale: b, in the unit of x.

    Returns:
      The likelihood; its `log_pmf` is None, as that of every density.

    Raises:
      ValueError: if the scale is not positive and finite.
    """
    if not 0 < scale < math.inf:
        raise ValueError(f"laplace needs a finite scale > 0, got {scale}.")

    def log_prob(mean: Array, x: Array) -> Array:  # of one image, nats
        return -jnp.sum(jnp.abs(x - mean) / scale + math.log(2.0 * scale))

    def sample(key: PRNGKey, mean: Array) -> Array:
        return mean + scale * jax.random.laplace(key, mean.shape, mean.dtype)

    return Likelihood(
        param_shapes=like_image,  # the decoder gives one number for every pixel
        log_prob=log_prob,
        sample=sample,
        mean=lambda mean: mean,
        log_pmf=None,
        init_bias=lambda mean: mean,  # a new decoder gives the mean image
        discrete=False,  # a density: reports state no bits per dimension
    )
