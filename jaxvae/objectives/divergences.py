"""What a VAE's KL consists of, and how far q(z) = E_x q(z | x) is from the product of its marginals.

The total correlation, KL(q(z) || prod_d q(z_d)), is 0 where the latents are independent of each other. It is found from
the batch: by sums over its images, or by a discriminator that tells latents from latents whose dimensions come from
different images. Both are statistics of the whole batch, also where several devices share it.
"""

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.distributions import normal_log_prob
from jaxvae.errors import check_shape
from jaxvae.types import Array, GaussianParams, PRNGKey

Sampling = Literal["stratified", "weighted"]


class KLParts(NamedTuple):
    """The three parts of a KL, [B] each in nats: their sum is log q(z | x) - log p(z)."""

    mutual_information: Array  # log q(z | x) - log q(z): of image and latent
    total_correlation: Array  # log q(z) - sum_d log q(z_d): of the latents among each other
    dimension_wise_kl: Array  # sum_d log q(z_d) - log p(z): of each latent and the prior


def decompose_kl(
    z: Array,
    q: GaussianParams,
    log_pz: Array,
    num_examples: int,
    sampling: Sampling = "stratified",
    axis_name: str | None = None,
) -> KLParts:
    """Return the parts of the KL of every image, estimated from the batch.

      log q(z) ~ log sum_j w_ij q(z_i | x_j),    log q(z_d) ~ log sum_j w_ij q(z_id | x_j)

    `stratified` gives the image itself the weight 1/N and shares the rest evenly among the other images: the sums are
    unbiased, and exact in a batch of all images. `weighted` has the weight 1/(N M) everywhere, which leaves a constant
    in the sums and hardly matters for gradients.

    Args:
      z: one draw of q(z | x) of every image, [B, D].
      q: the posteriors, [B, D].
      log_pz: log p(z) of the draws, [B], nats.
      num_examples: N, images of the training set.
      sampling: of the weights.
      axis_name: mapped axis over whose replicas the batch is spread.

    Returns:
      The parts.

    References:
      Chen et al., "Isolating Sources of Disentanglement in Variational Autoencoders", 2018, arXiv:1802.04942, eq. 2,
      appendix C. Departs from C.2 in that all other images of a batch have the same weight.
    """
    check_shape("z", z, q.mean.shape)
    check_shape("log_pz", log_pz, z.shape[:1])
    of_all = jax.tree.map(lambda leaf: _whole(leaf, axis_name), q)  # [M, D]
    num, first = len(of_all.mean), jax.lax.axis_index(axis_name) * len(z) if axis_name else 0
    own = jnp.arange(num)[None] == (first + jnp.arange(len(z)))[:, None]  # [B, M]
    rest = max(num_examples - 1, 1) / max(
        num - 1, 1
    )  # images of the training set for which another of the batch stands
    log_weights = (
        jnp.where(own, 0.0, math.log(rest)) if sampling == "stratified" else jnp.full(own.shape, -math.log(num))
    )
    log_weights -= math.log(num_examples)
    pairs = jax.vmap(jax.vmap(_log_density, in_axes=(0, 0, None)), in_axes=(None, None, 0))

    @jax.checkpoint  # three times as fast on a CPU as one array [B, M, D], and memory of one [B, M]
    def add_dimension(log_pairs: Array, of_dimension: Any) -> tuple[Array, Array]:
        mean, log_var, z = of_dimension
        log_pairs_d = pairs(mean, log_var, z)  # log q(z_id | x_j), [B, M]
        return log_pairs + log_pairs_d, jax.nn.logsumexp(log_weights + log_pairs_d, axis=1)

    log_pairs, log_marginals = jax.lax.scan(add_dimension, jnp.zeros(own.shape), (of_all.mean.T, of_all.log_var.T, z.T))
    log_qz = jax.nn.logsumexp(log_weights + log_pairs, axis=1)
    log_marginals = jnp.sum(log_marginals, axis=0)
    log_qz_x = jax.vmap(normal_log_prob)(q, z)
    return KLParts(log_qz_x - log_qz, log_qz - log_marginals, log_marginals - log_pz)


def permute_dimensions(key: PRNGKey, z: Array, axis_name: str | None = None) -> Array:
    """Return latents whose dimensions come from different images each: draws of the product of the marginals.

    Args:
      key: the same on all replicas.
      z: draws of q(z), [B, D].
      axis_name: as of `decompose_kl`.

    Returns:
      [B, D].

    References:
      Kim & Mnih, "Disentangling by Factorising", 2018, arXiv:1802.05983, algorithm 1.
    """
    check_shape("z", z, (None, None))
    of_all = _whole(z, axis_name)
    permuted = jax.random.permutation(key, of_all, axis=0, independent=True)
    if axis_name is None:
        return permuted
    return jax.lax.dynamic_slice_in_dim(permuted, jax.lax.axis_index(axis_name) * len(z), len(z))


# ---------- private


def _log_density(mean: Array, log_var: Array, z: Array) -> Array:
    """Of one latent variable, [] each."""
    return normal_log_prob(GaussianParams(mean, log_var), z)


def _whole(x: Array, axis_name: str | None) -> Array:
    """The rows of all replicas, in their order."""
    return jax.lax.all_gather(x, axis_name, tiled=True) if axis_name else x
