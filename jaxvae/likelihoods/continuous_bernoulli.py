"""Pixels in [0, 1]: the continuous Bernoulli, which makes the cross-entropy of grey values a density."""

import jax
import jax.numpy as jnp

from jaxvae.likelihoods.pixels import like_image
from jaxvae.likelihoods.scoring import checked
from jaxvae.numerics import bisect
from jaxvae.recipes import recorded
from jaxvae.types import Array, Likelihood, PRNGKey

_SMALL = 1.0  # logits below it go by the series, which end at 1e-8 there
_TINY = 1e-6  # the density of a smaller logit is uniform in float32
_DARKEST = 0.01  # least mean of a new decoder: a logit of -100


@recorded
@checked
def continuous_bernoulli() -> Likelihood:
    """Independent pixels in [0, 1]: the density that the cross-entropy, "BCE", of grey values is a part of.

      log p(x) = sum_i [ x_i * logit_i - A(logit_i) ],  A(l) = log((exp(l) - 1) / l),  A(0) = 0

    In the paper's terms logit = log(lambda / (1 - lambda)), and A joins its normaliser C(lambda) with log(1 - lambda).
    Where l is near 0, A and the mean A' are their Taylor series, as both are differences of large terms there.

    Departs from the paper: the series is in the logit, not in lambda.

    Parameters of one image: logits, of the shape of the image. The mean is A'(logit), not the sigmoid of the logit.
    x outside of [0, 1] has log-probability -inf. This is a density, in nats: it is comparable with that of `gaussian`
    for x in [0, 1] and never with the nats of a discrete likelihood. `init_bias` keeps means between 0.01 and 0.99, as
    the logit of a mean m near 0 is -1 / m; so does `perfect`, as the density has no bound there.

    References:
      Loaiza-Ganem & Cunningham, "The continuous Bernoulli: fixing a pervasive error in variational autoencoders", 2019,
      arXiv:1907.06845, sec. 3.
    """

    def log_prob(logits: Array, x: Array) -> Array:
        inside = (x >= 0.0) & (x <= 1.0)
        return jnp.sum(jnp.where(inside, x * logits - _log_normalizer(logits), -jnp.inf))

    def sample(key: PRNGKey, logits: Array) -> Array:
        # The inverse of the cumulative distribution, of the falling density, and mirrored for positive logits.
        steep = jnp.maximum(jnp.abs(logits), _TINY)
        u = jax.random.uniform(key, logits.shape, logits.dtype)
        x = -jnp.log1p(u * jnp.expm1(-steep)) / steep
        return jnp.where(logits > 0.0, 1.0 - x, x)

    def init_bias(mean: Array) -> Array:
        radius = jnp.array(1.0 + 1.0 / _DARKEST)
        return jnp.vectorize(lambda m: bisect(_mean, m, radius))(jnp.clip(mean, _DARKEST, 1.0 - _DARKEST))

    return Likelihood(
        param_shapes=like_image,
        log_prob=log_prob,
        sample=sample,
        mean=_mean,
        log_pmf=None,
        init_bias=init_bias,
        perfect=lambda x: log_prob(init_bias(x), x),
    )


# ---------- private. Each branch gets an argument of its own, lest the other's infinite gradient make a NaN of 0 * inf.


def _log_normalizer(logits: Array) -> Array:
    """A(logit), elementwise."""
    is_small = jnp.abs(logits) < _SMALL
    square = jnp.square(jnp.where(is_small, logits, 0.0))
    series = 0.5 * logits + square * (1 / 24 - square * (1 / 2880 - square * (1 / 181440 - square / 9676800)))
    steep = jnp.where(is_small, _SMALL, jnp.abs(logits))
    return jnp.where(is_small, series, jnp.maximum(logits, 0.0) + jnp.log(-jnp.expm1(-steep) / steep))


def _mean(logits: Array) -> Array:
    """A'(logit), elementwise."""
    is_small = jnp.abs(logits) < _SMALL
    small = jnp.where(is_small, logits, 0.0)
    square = jnp.square(small)
    series = 0.5 + small * (1 / 12 - square * (1 / 720 - square * (1 / 30240 - square / 1209600)))
    steep = jnp.where(is_small, _SMALL, jnp.abs(logits))
    falling = 1.0 / steep + jnp.exp(-steep) / jnp.expm1(-steep)
    return jnp.where(is_small, series, jnp.where(logits > 0.0, 1.0 - falling, falling))
