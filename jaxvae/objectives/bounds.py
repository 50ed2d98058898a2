"""Variational bounds: from the three log-densities of a model to one number per example.

Bounds are in nats and larger is better; the loss, `-elbo(...).mean()`, is written in the experiment. `elbo` and `iwae`
take the same `ELBOTerms`. The form with a closed KL is another function with other arguments, so that an importance
weighted bound cannot be fed a closed KL by mistake. No function here reduces over the batch, but `free_bits`, whose
definition does.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvae.errors import check_shape
from jaxvae.types import Array, ELBOTerms, Params


def log_weights(terms: ELBOTerms) -> Array:
    """Return log w = log p(x | z) + log p(z) - log q(z | x) of every sample, [S, B], nats."""
    _check_terms(terms)
    return terms.log_px + jnp.sum(terms.log_pz - terms.log_qz, axis=-1)


def elbo(terms: ELBOTerms, beta: ArrayLike = 1.0) -> Array:
    """Return the evidence lower bound, estimated by the samples alone.

      ELBO = 1/S sum_s [ log p(x | z_s) + beta (log p(z_s) - log q(z_s | x)) ]

    Args:
      terms: log-densities of S samples.
      beta: weight of the KL term (Higgins et al. 2017); 1 gives the bound.

    Returns:
      [B], nats.

    References:
      Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, arXiv:1312.6114, eq. 6.
      Higgins et al., "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework", 2017, eq. 4.
    """
    _check_terms(terms)
    log_ratio = jnp.sum(terms.log_pz - terms.log_qz, axis=-1)
    return jnp.mean(terms.log_px + beta * log_ratio, axis=0)


def elbo_analytic(log_px: Array, kl: Array, beta: ArrayLike = 1.0) -> Array:
    """Return the evidence lower bound with the KL in closed form, which has less variance.

      ELBO = 1/S sum_s log p(x | z_s) - beta * KL(q(z | x) || p(z))

    Args:
      log_px: [S, B], nats.
      kl: [B], or [] where it is one number for the batch (`free_bits`).
      beta: weight of the KL term.

    Returns:
      [B], nats.

    References:
      Kingma & Welling 2014, arXiv:1312.6114, eq. 7.
    """
    check_shape("log_px", log_px, (None, None))
    if kl.ndim:
        check_shape("kl", kl, log_px.shape[1:])
    return jnp.mean(log_px, axis=0) - beta * kl


def free_bits(kl: Array, minimum: ArrayLike, axis_name: str | None = None) -> Array:
    """Return a KL term that a dimension cannot lower below a minimum, against posterior collapse.

      sum_d max(minimum, mean_b KL_bd)

    Training with it does not maximise the ELBO: evaluate with the plain bound.

    Args:
      kl: KL of every example and dimension, [B, D], nats.
      minimum: nats per dimension, lambda in the paper.
      axis_name: mapped axis over whose replicas the batch mean is taken.

    Returns:
      [], nats.

    References:
      Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow", 2016, arXiv:1606.04934, eq. 15.
    """
    check_shape("kl", kl, (None, None))
    local = jnp.mean(kl, axis=0)
    batch = jax.lax.pmean(local, axis_name) if axis_name else local
    # The replicas agree on which dimensions are below the minimum, but each differentiates its own mean: averaging the
    # replicas' gradients, as the train step does, is then the gradient of the whole batch.
    below = jax.lax.stop_gradient(batch) < minimum  # not "above": a KL that is not a number must show
    return jnp.sum(jnp.where(below, minimum, local))


def iwae(terms: ELBOTerms) -> Array:
    """Return the importance weighted bound, log 1/S sum_s w_s.

    One sample gives the ELBO; the bound rises with S towards log p(x).

    Args:
      terms: log-densities of S samples.

    Returns:
      [B], nats.

    References:
      Burda, Grosse & Salakhutdinov, "Importance Weighted Autoencoders", 2016, arXiv:1509.00519, eq. 8.
    """
    return _log_mean_exp(log_weights(terms))


def dreg(
    params: Params,
    sample: Callable[[Params], Any],
    log_joint: Callable[[Params, Any], Array],
    log_posterior: Callable[[Params, Any], Array],
) -> Array:
    """Return the importance weighted bound with the doubly reparameterised gradient.

    The value is that of `iwae`. The gradient of the model's parameters is the usual one; that of the posterior's is

      sum_s v_s^2  d log w_s / d z_s  d z_s / d phi,      v_s = w_s / sum_t w_t

    which is unbiased, and whose signal-to-noise ratio does not fall with the number of samples. This needs log q at
    parameters that are not differentiated, and gradients of z that are scaled: so it takes the sampler and the
    log-densities as functions, and not their values.

    Args:
      params: parameters of model and posterior.
      sample: (params) -> z, reparameterised samples: a pytree of arrays [S, B, ...].
      log_joint: (params, z) -> log p(x, z), [S, B], nats.
      log_posterior: (params, z) -> log q(z | x) of any given z, [S, B], nats.

    Returns:
      [B], nats.

    References:
      Tucker et al., "Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives", 2019, arXiv:1810.04152,
      eq. 8.
    """
    z = sample(params)
    fixed = jax.lax.stop_gradient(params)

    def log_weight(params: Params, z: Any) -> Array:
        return log_joint(params, z) - log_posterior(fixed, z)

    return _log_mean_exp(_with_reweighted_latents(log_weight)(params, z))


def stratified_elbo(terms: ELBOTerms, log_weights: Array, beta: ArrayLike = 1.0) -> Array:
    """Return the evidence lower bound of a mixture posterior, estimated by samples of every one of its components.

      ELBO = sum_k w_k E_{q_k}[ log p(x | z) + beta (log p(z) - log q(z | x)) ],      q = sum_k w_k q_k

    One draw of the mixture would need a score function for the gradient of the weights, which choose the component.
    Here they are factors: their gradient is exact where the samples' is reparameterised.

    Args:
      terms: log-densities of S samples of each component, [K, S, B] and [K, S, B, L]; log q(z | x) is the mixture's.
      log_weights: log w_k, normalised, [B, K].
      beta: weight of the KL term.

    Returns:
      [B], nats.

    References:
      Roeder, Wu & Duvenaud, "Sticking the Landing: Simple, Lower-Variance Gradient Estimators for Variational
      Inference", 2017, arXiv:1703.09194: mixtures as posteriors.
      Morningstar et al., "Automatic Differentiation Variational Inference with Mixtures", 2021, arXiv:2003.01687.
    """
    check_shape("log_px", terms.log_px, (log_weights.shape[-1], None, log_weights.shape[0]))
    each = jax.vmap(elbo, in_axes=(0, None))(terms, beta)  # [K, B]
    return jnp.sum(jnp.exp(log_weights) * each.T, axis=-1)


# ---------- private


def _log_mean_exp(log_w: Array) -> Array:
    return jax.nn.logsumexp(log_w, axis=0) - math.log(log_w.shape[0])


def _with_reweighted_latents(log_weight: Callable[[Params, Any], Array]) -> Callable[[Params, Any], Array]:
    """Multiply the gradient that reaches z_s by its normalised weight, which is known once all weights are."""
    weigh = jax.custom_vjp(log_weight)

    def forward(params: Params, z: Any) -> tuple[Array, Any]:
        log_w, pull_back = jax.vjp(log_weight, params, z)
        return log_w, (log_w, pull_back)

    def backward(residuals: Any, cotangent: Array) -> tuple[Params, Any]:
        log_w, pull_back = residuals
        params_gradient, z_gradient = pull_back(cotangent)
        weights = jax.nn.softmax(log_w, axis=0)
        scale = jax.tree.map(lambda g: g * weights.reshape(weights.shape + (1,) * (g.ndim - 2)), z_gradient)
        return params_gradient, scale

    weigh.defvjp(forward, backward)
    return weigh


def _check_terms(terms: ELBOTerms) -> None:
    check_shape("log_px", terms.log_px, (None, None))
    check_shape("log_pz", terms.log_pz, (*terms.log_px.shape, None))
    check_shape("log_qz", terms.log_qz, terms.log_pz.shape)
