"""Pixels that are any numbers: Gaussians of a fixed standard deviation, or of one that the decoder gives."""

import math

import jax
import jax.numpy as jnp

from jaxvae import distributions
from jaxvae.likelihoods.pixels import like_image
from jaxvae.likelihoods.scoring import checked
from jaxvae.recipes import recorded
from jaxvae.types import Array, GaussianParams, Likelihood, PRNGKey


@recorded
@checked
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
        param_shapes=like_image,
        log_prob=log_prob,
        sample=sample,
        mean=lambda mean: mean,
        log_pmf=None,
        init_bias=lambda mean: mean,
    )


@recorded
@checked
def squared_error() -> Likelihood:
    """Squared errors, summed over the pixels: the loss of an autoencoder that has no noise model.

      log_prob = -sum_i (x_i - mean_i)^2

    Not a normalised density: that of `gaussian(sqrt(1/2))` without its constant, so `log_prob` is no log-probability,
    in no nats, and is for losses alone. Parameters of one image: the mean, of the shape of the image.

    Returns:
      The likelihood; it samples as that Gaussian does, and its `log_pmf` is None.
    """
    return gaussian(math.sqrt(0.5))._replace(log_prob=lambda mean, x: -jnp.sum(jnp.square(x - mean)))


@recorded
@checked
def gaussian_learned_scale(min_sigma: float = 0.01) -> Likelihood:
    """Independent Gaussian pixels whose standard deviations the decoder gives beside their means.

      log p(x) = sum_i log N(x_i; mean_i, sigma_i^2)
      log(sigma_i^2) = b + softplus(log_var_i - b),  b = 2 log(min_sigma)

    A pixel that is the same in all images makes the density grow without end as its sigma falls: the bound is part of
    the model. Through the softplus a sigma at the bound still has a gradient.

    Parameters of one image: `GaussianParams` of the shape of the image, where a log_var well above the bound is the
    logarithm of the variance. `init_bias` gives variances of 1. This is a density: see `gaussian`.

    Args:
      min_sigma: least standard deviation of a pixel, in the unit of x. Below the distance between two values of x, 1 /
        255 for images in [0, 1], the density would reward having found the values.

    Returns:
      The likelihood; its `log_pmf` is None.

    Raises:
      ValueError: if min_sigma is not positive and finite.

    References:
      Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, arXiv:1312.6114, appendix C.2.
      Rybkin, Daniilidis & Levine, "Simple and Effective VAE Training with Calibrated Decoders", 2021, arXiv:2006.13202.
    """
    if not 0 < min_sigma < math.inf:
        raise ValueError(f"gaussian_learned_scale needs a finite min_sigma > 0, got {min_sigma}.")
    bound = 2.0 * math.log(min_sigma)

    def bounded(params: GaussianParams) -> GaussianParams:
        return GaussianParams(params.mean, bound + jax.nn.softplus(params.log_var - bound))

    return Likelihood(
        param_shapes=lambda shape: GaussianParams(like_image(shape), like_image(shape)),
        log_prob=lambda params, x: distributions.normal_log_prob(bounded(params), x),
        sample=lambda key, params: distributions.normal_sample(key, bounded(params)),
        mean=lambda params: params.mean,
        log_pmf=None,
        init_bias=lambda mean: GaussianParams(mean, jnp.zeros_like(mean)),
    )
