"""Log-densities, divergences and samplers of one event.

Every function takes one event with explicit arrays and returns a number in nats ([]) or one event; batches are the
caller's `jax.vmap`. Log-variances are limited to +-`LOG_VAR_LIMIT`, logits are not limited at all: values and gradients
stay finite in float32 for logits up to +-1e4 and log-variances up to +-1e3, where they are no longer exact.
"""

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvae.numerics import argmax
from jaxvae.types import Array, GaussianParams, PRNGKey

LOG_VAR_LIMIT = 40.0  # the ratio of the largest and the smallest variance, exp(80), is still a float32
_LOG_2PI = math.log(2.0 * math.pi)
_ONE = math.log(math.expm1(1.0))  # its softplus is 1


# ---------- normal


def standard_normal_log_prob(z: Array) -> Array:
    """Return log N(z; 0, I) of one vector, z [D] -> []."""
    return -0.5 * jnp.sum(jnp.square(z) + _LOG_2PI)


def normal_log_prob(params: GaussianParams, x: Array) -> Array:
    """Return the log-density of a diagonal Gaussian.

      log p(x) = -1/2 sum_d [ log(2 pi) + log_var_d + (x_d - mean_d)^2 / exp(log_var_d) ]

    Args:
      params: mean and log-variance, of the shape of x.
      x: one event, any shape.

    Returns:
      [], nats.
    """
    log_var = _limited(params.log_var)
    return -0.5 * jnp.sum(_LOG_2PI + log_var + jnp.square(x - params.mean) * jnp.exp(-log_var))


def normal_sample(key: PRNGKey, params: GaussianParams) -> Array:
    """Draw one event by reparameterisation: mean + exp(log_var / 2) * noise (Kingma & Welling 2014, sec. 2.4)."""
    return normal_sample_and_log_prob(key, params)[0]


def normal_sample_and_log_prob(key: PRNGKey, params: GaussianParams) -> tuple[Array, Array]:
    """Draw one event and return its log-density, which needs the noise alone and no division by a small variance.

    Args:
      key: one key.
      params: mean and log-variance, any shape.

    Returns:
      x of that shape and log p(x) [], nats.
    """
    log_var = _limited(params.log_var)
    noise = jax.random.normal(key, params.mean.shape, params.mean.dtype)
    x = params.mean + jnp.exp(0.5 * log_var) * noise
    return x, -0.5 * jnp.sum(_LOG_2PI + log_var + jnp.square(noise))


def normal_kl(q: GaussianParams, p: GaussianParams) -> Array:
    """Return KL(q || p) of two diagonal Gaussians, one number per dimension.

      KL_d = 1/2 [ log_var_p - log_var_q + (var_q + (mean_q - mean_p)^2) / var_p - 1 ]

    Args:
      q: mean and log-variance, any shape.
      p: the same shape.

    Returns:
      The shape of q, nats; the sum is the divergence.
    """
    log_var_q, log_var_p = _limited(q.log_var), _limited(p.log_var)
    ratio = jnp.exp(log_var_q - log_var_p)
    shift = jnp.square(q.mean - p.mean) * jnp.exp(-log_var_p)
    return 0.5 * (log_var_p - log_var_q + ratio + shift - 1.0)


def normal_kl_to_standard(q: GaussianParams) -> Array:
    """Return KL(q || N(0, I)) per dimension, the shape of q (Kingma & Welling 2014, appendix B)."""
    log_var = _limited(q.log_var)
    return 0.5 * (jnp.exp(log_var) + jnp.square(q.mean) - 1.0 - log_var)


def normal_relative(q: GaussianParams, p: GaussianParams) -> GaussianParams:
    """Return a diagonal Gaussian q in the coordinates (z - mean_p) / sd_p, in which p is N(0, I).

    Densities in these coordinates have the same ratio as in the old ones, and KL(q || p) is `normal_kl_to_standard`.

    Args:
      q: mean and log-variance, any shape.
      p: the same shape.

    Returns:
      Mean and log-variance, the shape of q.
    """
    log_var_q, log_var_p = _limited(q.log_var), _limited(p.log_var)
    return GaussianParams((q.mean - p.mean) * jnp.exp(-0.5 * log_var_p), log_var_q - log_var_p)


def softplus_log_var(raw: Array) -> Array:
    """Return the log-variance of a standard deviation that is softplus(raw), moved so that raw 0 is a variance of 1.

    Limited to +-`LOG_VAR_LIMIT` / 2, so that the difference of two of them is a log-variance too. It is computed
    without softplus(raw) itself, which is 0 in float32 from raw -104 on.
    """
    x = raw + _ONE
    small = x < -15.0  # where softplus(x) is exp(x) (1 - exp(x) / 2) to the last digit
    log_sd = jnp.where(small, x, jnp.log(_softplus(jnp.where(small, 0.0, x))))
    return jnp.clip(2.0 * log_sd, -0.5 * LOG_VAR_LIMIT, 0.5 * LOG_VAR_LIMIT)


# ---------- discrete


def bernoulli_log_prob(logits: Array, x: Array) -> Array:
    """Return log p(x) of independent Bernoulli variables.

      log p(x) = sum_i [ x_i * logit_i - log(1 + exp(logit_i)) ]

    Args:
      logits: log-odds of a one, any shape.
      x: zeros and ones, the same shape. Values between them give the cross-entropy, which is not a likelihood, and
        straight-through bits may be off by a rounding: nothing is refused here, `likelihoods.bernoulli` does that.

    Returns:
      [], nats.
    """
    # As a vector: XLA:CPU sums over the single channel of an image ten times slower than over its pixels.
    x, logits = x.ravel(), logits.ravel()
    return jnp.sum(x * logits - _softplus(logits))


def bernoulli_sample(key: PRNGKey, logits: Array) -> Array:
    """Draw zeros and ones of the shape and dtype of the logits."""
    return (jax.random.uniform(key, logits.shape) < jax.nn.sigmoid(logits)).astype(logits.dtype)


def categorical_sample(key: PRNGKey, logits: Array) -> Array:
    """Draw classes, logits [..., K] -> [...] int32, as `jax.random.categorical`, whose argmax is slow on a CPU."""
    return argmax(logits + jax.random.gumbel(key, logits.shape, logits.dtype))


def categorical_kl(log_q: Array, log_p: Array) -> Array:
    """Return KL(q || p) of two categorical distributions.

    Args:
      log_q: normalised log-probabilities [K]; -inf is a value that never occurs and adds nothing.
      log_p: the same for p, [K].

    Returns:
      [], nats.
    """
    occurs = log_q > -jnp.inf
    difference = jnp.where(occurs, log_q, 0.0) - jnp.where(occurs, log_p, 0.0)
    return jnp.sum(jnp.exp(log_q) * difference)


def bernoulli_kl(logits_q: Array, logits_p: Array) -> Array:
    """Return KL(q || p) of independent Bernoulli variables, one number per variable.

      KL_i = q_i [log q_i - log p_i] + (1 - q_i) [log(1 - q_i) - log(1 - p_i)]

    Args:
      logits_q: log-odds of a one, any shape.
      logits_p: the same shape.

    Returns:
      The shape of the logits, nats; the sum is the divergence.
    """
    ones = jax.nn.sigmoid(logits_q) * (_softplus(-logits_p) - _softplus(-logits_q))
    zeros = jax.nn.sigmoid(-logits_q) * (_softplus(logits_p) - _softplus(logits_q))
    return ones + zeros


# ---------- relaxed discrete


def relaxed_bernoulli_log_prob(logits: Array, y: Array, temperature: ArrayLike) -> Array:
    """Return the log-density of relaxed Bernoulli variables at the logits of their values.

      log p(y) = sum_i [ log T + logit_i - T y_i - 2 log(1 + exp(logit_i - T y_i)) ]      (eq. 26)

    This is a logistic variable of mean logit / T and scale 1 / T. The relaxed bit is sigmoid(y), in (0, 1): what a
    decoder sees. Ratios of densities are the same of both, but a bit that is a float32 rounds to 0 or 1, where its own
    density is of no use.

    Args:
      logits: log-odds of a one in the limit of temperature 0, any shape.
      y: logits of relaxed bits, the same shape.
      temperature: T > 0, [].

    Returns:
      [], nats.

    Raises:
      ValueError: if the temperature is a number that is not positive.

    References:
      Maddison, Mnih & Teh, "The Concrete Distribution", 2017, arXiv:1611.00712, appendix C.3.2.
      Jang, Gu & Poole, "Categorical Reparameterization with Gumbel-Softmax", 2017, arXiv:1611.01144.
    """
    _check_temperature(temperature)
    return _standard_logistic_log_prob(y * temperature - logits) + y.size * jnp.log(temperature)


def relaxed_bernoulli_sample(key: PRNGKey, logits: Array, temperature: ArrayLike) -> Array:
    """Draw logits of relaxed bits: (logit + standard logistic noise) / temperature, the shape of the logits.

    A draw is above 0 with the probability of a one, at every temperature (Maddison et al. 2017, sec. 2.2).
    """
    return relaxed_bernoulli_sample_and_log_prob(key, logits, temperature)[0]


def relaxed_bernoulli_sample_and_log_prob(key: PRNGKey, logits: Array, temperature: ArrayLike) -> tuple[Array, Array]:
    """Draw logits of relaxed bits and return their log-density, which is that of the noise and exact at large logits.

    Args:
      key: one key.
      logits: log-odds of a one in the limit of temperature 0, any shape.
      temperature: T > 0, [].

    Returns:
      y of that shape and log p(y) [], nats.

    Raises:
      ValueError: if the temperature is a number that is not positive.
    """
    _check_temperature(temperature)
    noise = jax.random.logistic(key, logits.shape, logits.dtype)
    return (logits + noise) / temperature, _standard_logistic_log_prob(noise) + logits.size * jnp.log(temperature)


# ---------- private


def _check_temperature(temperature: ArrayLike) -> None:
    if isinstance(temperature, int | float) and not temperature > 0:  # an array may be traced
        raise ValueError(f"The temperature of relaxed bits is {temperature}, expected more than 0.")


def _standard_logistic_log_prob(x: Array) -> Array:
    return -jnp.sum(_softplus(x) + _softplus(-x))


def _limited(log_var: Array) -> Array:
    return jnp.clip(log_var, -LOG_VAR_LIMIT, LOG_VAR_LIMIT)


@jax.custom_jvp
def _softplus(x: Array) -> Array:
    """log(1 + exp(x)) with one exp and one log, and the sigmoid as its derivative: half the time of automatic rules."""
    return jnp.maximum(x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


_softplus.defjvps(lambda tangent, _, x: tangent * jax.nn.sigmoid(x))
