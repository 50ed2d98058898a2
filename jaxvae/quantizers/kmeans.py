"""Codes to begin with: the clusters of the first batch's vectors."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxvae.errors import UserError, check_shape
from jaxvae.quantizers.codebook import CodebookState, code_sums, nearest, restart
from jaxvae.quantizers.usage import code_counts, finite_rows
from jaxvae.types import Array, PRNGKey


def kmeans(key: PRNGKey, z: Array, num_codes: int, num_iterations: int) -> Array:
    """Find K centres of clusters: k-means++ and Lloyd's iterations.

    An empty cluster begins anew at a vector drawn at random. The program holds chunks of distances, as `nearest` does.

    Args:
      key: of the first centres and of restarts.
      z: [N, D]; a vector that is not finite is left out.
      num_codes: K.
      num_iterations: of Lloyd; 0 leaves the vectors that k-means++ chooses.

    Returns:
      [K, D].

    Raises:
      UserError: if there are fewer vectors than codes.

    References:
      Arthur & Vassilvitskii, "k-means++: The Advantages of Careful Seeding", 2007.
    """
    check_shape("z of k-means", z, (None, None))
    if len(z) < num_codes:
        raise UserError(
            f"k-means of {num_codes} codes has {len(z)} vectors, expected at least {num_codes}: "
            "take fewer codes or more images."
        )
    keep = finite_rows(z)
    seeding, restarts = jax.random.split(key)

    def lloyd(i: Array, table: Array) -> Array:
        codes = nearest(table, z)
        counts, sums = code_counts(codes, num_codes, keep), code_sums(codes, z, num_codes)
        means = jnp.where(counts[:, None] > 0, sums / jnp.maximum(counts, 1.0)[:, None], table)
        return restart(jax.random.fold_in(restarts, i), CodebookState(means, counts, sums), z, 0.5).embeddings

    return lax.fori_loop(0, num_iterations, lloyd, _seeds(seeding, jnp.where(keep[:, None], z, 0.0), keep, num_codes))


# ---------- private


def _seeds(key: PRNGKey, z: Array, keep: Array, num: int) -> Array:
    """k-means++: each further centre is a vector, drawn with its squared distance to the nearest one as weight."""

    def squares(centre: Array) -> Array:
        return jnp.sum(jnp.square(z - centre[None]), axis=1)

    def add(weights: Array, key: PRNGKey) -> tuple[Array, Array]:
        centre = z[jax.random.categorical(key, jnp.log(weights))]
        return jnp.minimum(weights, squares(centre)), centre

    first, others = jax.random.split(key)
    centre = z[jax.random.categorical(first, jnp.log(keep.astype(z.dtype)))]
    weights = jnp.where(keep, squares(centre), 0.0)
    _, centres = lax.scan(add, weights, jax.random.split(others, num - 1))
    return jnp.concatenate([centre[None], centres])
