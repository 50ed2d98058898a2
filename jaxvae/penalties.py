"""Penalties of an autoencoder's code, which keep it from copying: sparsity and contraction.

To be added, times a weight, to the loss of an image. Where an autoencoder has fewer codes than pixels none is needed.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxvae.errors import check_shape
from jaxvae.types import Array


def l1_sparsity(h: Array) -> Array:
    """Return sum_j |h_j| of every code: h [B, ...] -> [B]."""
    return jnp.sum(jnp.abs(h.reshape(len(h), -1)), axis=1)


def kl_sparsity(h: Array, target: float, axis_name: str | None = None) -> Array:
    """Return how far the mean activations of a batch are from a target.

      sum_j KL(Bernoulli(target) || Bernoulli(mean_j)),   mean_j = 1/B sum_b h_bj

    Args:
      h: codes of sigmoid units, [B, D] in [0, 1]. A unit that is 0, or 1, for the whole batch counts as 1e-6 from it.
      target: the wanted mean activation, above 0 and below 1.
      axis_name: mapped axis of replicas that share the batch: the mean is over all of it.

    Returns:
      [], nats.

    Raises:
      ValueError: if the target is not possible.

    References:
      Ng, "Sparse autoencoder", 2011, sec. 3.
    """
    if not 0 < target < 1:
        raise ValueError(f"The target of the mean activation is {target}, expected above 0 and below 1.")
    check_shape("h", h, (None, None))
    mean = jnp.mean(h, axis=0)
    mean = jnp.clip(lax.pmean(mean, axis_name) if axis_name else mean, 1e-6, 1 - 1e-6)
    kl = target * (jnp.log(target) - jnp.log(mean)) + (1 - target) * (jnp.log1p(-target) - jnp.log1p(-mean))
    return jnp.sum(kl)


def contraction(encode: Callable[[Array], Array], x: Array) -> Array:
    """Return the squared Frobenius norm of an encoder's Jacobian.

      sum_jk (dh_j / dx_k)^2

    Exact for an encoder of any depth, at one backward pass for each unit of the code.

    Args:
      encode: images [B, ...] -> codes [B, ...], each of its own image alone.
      x: [B, ...].

    Returns:
      [B].

    References:
      Rifai et al., "Contractive Auto-Encoders: Explicit Invariance During Feature Extraction", 2011, eq. 1.
    """

    def of_one(one: Array) -> Array:
        return jnp.sum(jnp.square(jax.jacrev(lambda one: encode(one[None])[0])(one)))

    return jax.vmap(of_one)(x)
