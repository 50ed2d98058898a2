"""Estimates of log p(x) by importance sampling, in memory that does not grow with the number of samples."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvae import objectives
from jaxvae.keys import check_keys
from jaxvae.types import Array, ELBOTerms, PRNGKey

_Sums = tuple[
    Array, Array, Array, Array
]  # [B] each: of weights and their squares, logarithms; of log w and log p(x | z)


class LikelihoodEstimate(NamedTuple):
    """What K importance samples say of every example, in nats."""

    log_likelihood: Array  # [B], log 1/K sum_k w_k: a lower bound of log p(x) in expectation
    elbo: Array  # [B], mean log w_k
    reconstruction: Array  # [B], mean of -log p(x | z_k)
    kl: Array  # [B], mean of log q(z_k | x) - log p(z_k)
    standard_error: Array  # [B], of log_likelihood, to first order; NaN of one sample


def jit_estimate(function: Callable) -> jax.stages.Wrapped:
    """Compile a function that calls `importance_estimate`, as `jax.jit` does, and on a CPU without YNN's fusions.

    XLA:CPU would fuse the decoder's products with what follows up to the sum over pixels, and this one kernel takes
    almost twice as long as its parts (jax 0.10, Burda's decoder: 8.2 against 4.4 ms for 1,000 samples).
    """
    return jax.jit(function, compiler_options=_WITHOUT_YNN if _accepts_option() else None)


def importance_estimate(
    terms: Callable[[PRNGKey], ELBOTerms], keys: PRNGKey, num_samples: int, chunk_size: int
) -> LikelihoodEstimate:
    """Estimate log p(x) by K samples of q(z | x), a chunk of them at a time.

      log p(x) ~ log 1/K sum_k w_k,  w_k = p(x, z_k) / q(z_k | x)
      standard error ~ sd(w) / (mean(w) sqrt(K))

    Args:
      terms: keys [B] -> the densities of one sample of every example, [1, B].
      keys: [B]; sample k of example b uses fold_in(keys[b], k), so that the chunk size does not change the result.
      num_samples: K.
      chunk_size: samples at a time; more are faster until they leave the processor's caches.

    Returns:
      The estimates.

    References:
      Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, eq. 8 (K = 5000 in their tables).
    """
    check_keys(keys)
    chunk_size = min(chunk_size, num_samples)
    num_chunks = -(-num_samples // chunk_size)

    def one_sample(index: Array) -> tuple[Array, Array]:
        sample = terms(jax.vmap(lambda key: jax.random.fold_in(key, index))(keys))
        return objectives.log_weights(sample)[0], sample.log_px[0]

    def one_chunk(carry: _Sums, chunk: Array) -> tuple[_Sums, None]:
        log_sum, log_squares, weight_sum, px_sum = carry
        indices = chunk * chunk_size + jnp.arange(chunk_size)
        real = (indices < num_samples)[:, None]
        log_w, log_px = jax.vmap(one_sample)(indices)  # [chunk, B]
        weights = jnp.where(real, log_w, -jnp.inf)
        log_sum = jnp.logaddexp(log_sum, jax.nn.logsumexp(weights, axis=0))
        log_squares = jnp.logaddexp(log_squares, jax.nn.logsumexp(2.0 * weights, axis=0))
        weight_sum = weight_sum + jnp.sum(jnp.where(real, log_w, 0.0), axis=0)
        px_sum = px_sum + jnp.sum(jnp.where(real, log_px, 0.0), axis=0)
        return (log_sum, log_squares, weight_sum, px_sum), None

    zeros = jnp.zeros(keys.shape[:1])
    start = (zeros - jnp.inf, zeros - jnp.inf, zeros, zeros)
    (log_sum, log_squares, weight_sum, px_sum), _ = jax.lax.scan(one_chunk, start, jnp.arange(num_chunks))
    elbo, log_px = weight_sum / num_samples, px_sum / num_samples
    # K sum_k w_k^2 / (sum_k w_k)^2 - 1, the weights' variance relative to the square of their mean.
    spread = jnp.maximum(num_samples * jnp.exp(log_squares - 2.0 * log_sum) - 1.0, 0.0)
    error = jnp.sqrt(spread / (num_samples - 1)) if num_samples > 1 else jnp.full_like(elbo, jnp.nan)
    return LikelihoodEstimate(log_sum - jnp.log(float(num_samples)), elbo, -log_px, log_px - elbo, error)


# ---------- private

_WITHOUT_YNN = {"xla_cpu_experimental_ynn_fusion_type": ""}


@functools.cache
def _accepts_option() -> bool:
    """Whether this backend is a CPU whose compiler knows the option, which is an experimental one."""
    if jax.default_backend() != "cpu":
        return False
    try:
        jax.jit(lambda x: x, compiler_options=_WITHOUT_YNN).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
