"""Discrete pixels that are beta-binomial: two parameters a pixel, any probability at the ends of the range."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.distributions import categorical_sample
from jaxvae.likelihoods.pixels import check_count, inner_fraction, is_value, like_image, of_channel
from jaxvae.likelihoods.scoring import checked
from jaxvae.recipes import recorded
from jaxvae.types import Array, Likelihood, PRNGKey

_LOG_LIMIT = 10.0  # of alpha and beta: next to the binomial, and next to the two ends alone
_SHIFT = 4.0  # Stirling's series starts at _SHIFT + a, where four terms leave 3e-9


class BetaBinomialParams(NamedTuple):
    """The number of successes in V - 1 trials whose probability is drawn from Beta(alpha, beta), for every pixel."""

    log_alpha: Array  # [...], limited to +-10
    log_beta: Array  # [...], limited to +-10


@recorded
@checked
def beta_binomial(num_values: int = 256) -> Likelihood:
    """Independent pixels of beta-binomial values: two parameters where a softmax needs V.

      p(x_i = v) = (n choose v) B(v + alpha_i, n - v + beta_i) / B(alpha_i, beta_i),  n = V - 1

    The mean is n alpha / (alpha + beta). alpha = beta = 1 is uniform, large ones come near the binomial distribution,
    which no pixel can be narrower than, and small ones leave only 0 and n.

    Parameters of one image: `BetaBinomialParams` of the shape of the image. x are integer values 0 to V - 1 in any
    type; others have log-probability -inf. `sample` and `mean` are values of the same unit, float32. `log_prob` is in
    nats. `init_bias` gives alpha + beta = 2, which is uniform where the mean is in the middle.

    Args:
      num_values: V, at least 2.

    Returns:
      The likelihood.

    Raises:
      ValueError: if there are fewer than two values.

    References:
      Townsend, Bird & Barber, "Practical lossless compression with latent variables using bits back coding", 2019,
      arXiv:1901.04866: their model of grey MNIST.
    """
    check_count("beta_binomial", "num_values", num_values, 2)
    n = num_values - 1
    log_choose = np.array([math.lgamma(n + 1) - math.lgamma(v + 1) - math.lgamma(n - v + 1) for v in range(num_values)])

    def log_p(params: BetaBinomialParams, x: Array) -> Array:
        alpha, beta = (jnp.exp(_limited(log)) for log in params)
        # log G(v + a) / G(a) thrice, where the leading terms v log(a) are joined before they lose digits to each other.
        total = _SHIFT + alpha + beta
        leading = x * jnp.log((_SHIFT + alpha) / total) + (n - x) * jnp.log((_SHIFT + beta) / total)
        rest = _rising(alpha, x) + _rising(beta, n - x) - _rising(alpha + beta, n)
        return jnp.asarray(log_choose, jnp.float32)[x.astype(jnp.int32)] + leading + rest

    def log_prob(params: BetaBinomialParams, x: Array) -> Array:
        x = x.astype(jnp.float32)
        return jnp.sum(jnp.where(is_value(x, num_values), log_p(params, jnp.clip(x, 0, n)), -jnp.inf))

    def log_pmf(params: BetaBinomialParams) -> Array:
        return jax.vmap(lambda x: log_p(params, x), out_axes=-1)(jnp.arange(num_values, dtype=jnp.float32))

    def sample(key: PRNGKey, params: BetaBinomialParams) -> Array:
        return categorical_sample(key, log_pmf(params)).astype(jnp.float32)

    def init_bias(mean: Array) -> BetaBinomialParams:
        fraction = inner_fraction(mean, num_values)
        return BetaBinomialParams(jnp.log(2.0 * fraction), jnp.log(2.0 * (1.0 - fraction)))

    return Likelihood(
        param_shapes=lambda shape: BetaBinomialParams(like_image(shape), like_image(shape)),
        log_prob=log_prob,
        sample=sample,
        mean=lambda params: n * jax.nn.sigmoid(_limited(params.log_alpha) - _limited(params.log_beta)),
        log_pmf=log_pmf,
        channel_log_pmf=of_channel(log_pmf),
        init_bias=init_bias,
        discrete=True,
    )


# ---------- private


def _limited(log: Array) -> Array:
    return jnp.clip(log, -_LOG_LIMIT, _LOG_LIMIT)


def _rising(a: Array, x: Array | int) -> Array:
    """Return log G(a + x) / G(a) - x log(_SHIFT + a) + x for a > 0, x >= 0, elementwise.

    Differences of `gammaln`, which grows as a log(a), are off by 0.05 nats a pixel near the limit, and by 0.02 in the
    gradient.
    """
    z = _SHIFT + a
    start, end = a * (a + 3.0), (a + x) * (a + x + 3.0)  # a (a + 1) (a + 2) (a + 3) = start * (start + 2)
    ratio = start * (start + 2.0) / (end * (end + 2.0))
    return (z + x - 0.5) * jnp.log1p(x / z) + _stirling(z + x) - _stirling(z) + jnp.log(ratio)


def _stirling(z: Array) -> Array:
    """Return log G(z) - (z - 1/2) log(z) + z - log(2 pi) / 2."""
    square = jnp.square(1.0 / z)
    return (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / z
