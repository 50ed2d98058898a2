"""The maths of a learned codebook: the nearest code, moving averages of what chose it, restarts (van den Oord 2017).

Shapes: N vectors of D channels, K codes. With `axis_name` the N vectors are this replica's part of the batch: sums are
over all replicas, which so arrive at the same codebook, bit for bit.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxvae.errors import check_shape
from jaxvae.numerics import argmax
from jaxvae.quantizers.usage import finite_rows
from jaxvae.types import Array, PRNGKey


class CodebookState(NamedTuple):
    """A codebook and the moving averages that it is made of."""

    embeddings: Array  # [K, D], the codes
    counts: Array  # [K], vectors of a batch that chose a code
    sums: Array  # [K, D], their sum


def nearest(table: Array, z: Array, *, chunk: int | None = None) -> Array:
    """Find the nearest code of every vector.

      argmin_k |z - e_k|^2 = argmax_k [ z.e_k - |e_k|^2 / 2 ]             (eq. 1)

    One matrix product a chunk: no more than chunk * K distances are held at a time, and no differences [N, K, D].

    Args:
      table: the codes, [K, D].
      z: [N, D].
      chunk: vectors that are looked up at once; by default as many as have 2^20 distances, which caches hold.

    Returns:
      [N] int32; the first of equally near codes, 0 for a vector that is not a number.

    References:
      van den Oord, Vinyals & Kavukcuoglu, "Neural Discrete Representation Learning", 2017, arXiv:1711.00937.
    """
    check_shape("codes", table, (None, None))
    check_shape("z", z, (None, table.shape[1]))
    table, z = table.astype(jnp.float32), z.astype(jnp.float32)
    half_squares = 0.5 * jnp.sum(jnp.square(table), axis=1)

    def of_rows(rows: Array) -> Array:
        # Full precision: GPUs and TPUs would round the products so that another code seems nearer.
        products = lax.dot_general(rows, table, (((1,), (1,)), ((), ())), precision=lax.Precision.HIGHEST)
        return argmax(products - half_squares[None])

    num_chunks = max(1, -(-len(z) // (chunk or max(1, 2**20 // len(table)))))
    if num_chunks == 1:
        return of_rows(z)
    size = -(-len(z) // num_chunks)
    padded = jnp.pad(z, ((0, size * num_chunks - len(z)), (0, 0)))
    # The rows of a chunk are `num_chunks` apart: of a batch that is divided among devices, each has a part of each.
    codes = lax.map(of_rows, padded.reshape(size, num_chunks, -1).swapaxes(0, 1))
    return codes.T.reshape(-1)[: len(z)]


def code_sums(codes: Array, z: Array, num_codes: int, axis_name: str | None = None) -> Array:
    """Sum the vectors of each code.

    Args:
      codes: int32, [N].
      z: [N, D]; a vector that is not finite enters no sum.
      num_codes: K.
      axis_name: mapped axis of replicas whose vectors are summed together.

    Returns:
      [K, D].
    """
    codes = jnp.where(finite_rows(z), codes, num_codes)
    sums = jnp.zeros((num_codes, z.shape[1]), z.dtype).at[codes].add(z, mode="drop")
    return lax.psum(sums, axis_name) if axis_name else sums


def start_codebook(embeddings: Array) -> CodebookState:
    """Begin the moving averages of codes as if each had been chosen by one vector, at its own place.

    Args:
      embeddings: the codes, [K, D].

    Returns:
      The state, whose arrays share no memory, so that it can be donated.
    """
    counts = jnp.ones_like(embeddings, shape=embeddings.shape[:1])
    return CodebookState(embeddings, counts, embeddings * counts[:, None])


def ema_update(
    state: CodebookState, counts: Array, sums: Array, *, decay: float, epsilon: float = 1e-5
) -> CodebookState:
    """Move every code towards the mean of the vectors that chose it.

      N <- decay N + (1 - decay) counts                                   (eq. 6)
      m <- decay m + (1 - decay) sums                                     (eq. 7)
      e <- (m + epsilon e) / (N + epsilon)                                (eq. 8, smoothed)

    Args:
      state: before the batch.
      counts: of the batch of all replicas, [K].
      sums: the same, [K, D].
      decay: of the moving averages.
      epsilon: of the Laplace smoothing, in vectors.

    Returns:
      The state after it.

    References:
      van den Oord et al. 2017, arXiv:1711.00937, appendix A.1.
      Departs from the authors' code (Sonnet), whose epsilon vectors lie at 0, e <- m / (N + epsilon) up to a factor
      that is nearly 1: a code that nothing chooses shrinks to the zero vector there. Here they lie at the code.
    """
    check_shape("counts", counts, state.counts.shape)
    check_shape("sums", sums, state.sums.shape)
    new_counts = decay * state.counts + (1.0 - decay) * counts
    new_sums = decay * state.sums + (1.0 - decay) * sums
    embeddings = (new_sums + epsilon * state.embeddings) / (new_counts + epsilon)[:, None]
    return CodebookState(embeddings, new_counts, new_sums)


def restart(key: PRNGKey, state: CodebookState, z: Array, below: float, axis_name: str | None = None) -> CodebookState:
    """Move dead codes to vectors of the batch, drawn at random, no vector twice while there are K of them.

    A code that was moved has twice the count that it needs to live, and so log(2) / (1 - decay) steps to be chosen.

    Args:
      key: the same on all replicas.
      state: the codebook.
      z: [N, D]; a vector that is not finite moves no code.
      below: a code is dead if its count is less.
      axis_name: mapped axis of replicas, whose vectors are drawn from as one batch in the order of the replicas.

    Returns:
      The state; live codes are those given, bit for bit.

    References:
      Dhariwal et al., "Jukebox: A Generative Model for Music", 2020, arXiv:2005.00341: random restarts.
    """
    rows = _draw(key, z, len(state.counts), axis_name)
    moved = (state.counts < below) & finite_rows(rows)
    new = CodebookState(rows, jnp.full_like(state.counts, 2.0 * below), 2.0 * below * rows)
    return jax.tree.map(lambda a, b: jnp.where(moved.reshape(-1, *[1] * (a.ndim - 1)), a, b), new, state)


# ---------- private


def _draw(key: PRNGKey, z: Array, num: int, axis_name: str | None) -> Array:
    """Rows of the batch of all replicas, [num, D]: those that one device would draw from the whole batch.

    One from each of `num` parts of the batch, which begin anywhere: a permutation of all rows would take far longer.
    """
    total = len(z) * (lax.axis_size(axis_name) if axis_name else 1)
    edges = np.arange(num + 1) * total // num
    first, width = (jnp.asarray(a, jnp.int32) for a in (edges[:-1], np.maximum(np.diff(edges), 1)))
    uniform = jax.random.uniform(key, (num + 1,))
    offset = (uniform[0] * total).astype(jnp.int32)
    rows = (first + (uniform[1:] * width).astype(jnp.int32) + offset) % total
    if not axis_name:
        return z[rows]
    local = rows - lax.axis_index(axis_name) * len(z)
    own = (local >= 0) & (local < len(z))
    # One replica has a row and the others zeros: their sum is the row itself.
    return lax.psum(jnp.where(own[:, None], z[jnp.clip(local, 0, len(z) - 1)], 0.0), axis_name)
