"""What all quantizers return, and how evenly their codes are used.

Letters in the shapes: B examples of h x w positions, N = B h w vectors, D channels, K codes, G codebooks.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.errors import check_shape
from jaxvae.types import Array


class QuantizerOutput(NamedTuple):
    """A quantised map. Everything is float32 but the codes."""

    z_q: Array  # [B, h, w, D], what the decoder sees; its gradient reaches the encoder
    codes: Array  # [B, h, w] int32, or [B, h, w, G]
    penalty: Array  # [B], what training adds to the loss of each example
    # counts [K] or [G, K], perplexity and used [] or [G] (see `CodeUsage`), quantization_error [], the mean square of
    # what is lost where the codes are chosen (after projection, normalisation or squashing: of another unit in each
    # quantizer); without gradients, in training of the batch of all replicas
    stats: dict[str, Array]


class CodeUsage(NamedTuple):
    """How evenly codes are used; each as many as there are codebooks."""

    perplexity: Array  # the number of equally frequent codes of the same entropy, 1 to K
    used: Array  # the part of the codes that were chosen at all, 0 to 1
    dead: Array  # the number of those that were not, int32


def code_counts(codes: Array, num_codes: int, keep: Array, axis_name: str | None = None) -> Array:
    """Count how often each code is chosen.

    Args:
      codes: int32, [N].
      num_codes: K.
      keep: whether a row counts, bool [N].
      axis_name: mapped axis of replicas whose rows are counted together.

    Returns:
      [K] float32.
    """
    counts = jnp.zeros(num_codes).at[jnp.where(keep, codes, num_codes)].add(1.0, mode="drop")
    return jax.lax.psum(counts, axis_name) if axis_name else counts


def code_usage(counts: Array) -> CodeUsage:
    """Summarise counts of codes.

      perplexity = exp(-sum_k p_k log p_k),    p_k = counts_k / sum_j counts_j

    Counts of several batches are to be added first: a perplexity is no mean of those of the parts.

    Args:
      counts: [..., K].

    Returns:
      Perplexity, used part and number of dead codes, [...]; of no counts at all the perplexity is 1.
    """
    share = counts / jnp.maximum(jnp.sum(counts, axis=-1, keepdims=True), 1.0)
    chosen = counts > 0
    return CodeUsage(
        perplexity=jnp.exp(jnp.sum(jax.scipy.special.entr(share), axis=-1)),
        used=jnp.mean(chosen.astype(jnp.float32), axis=-1),
        dead=jnp.sum(~chosen, axis=-1, dtype=jnp.int32),
    )


def batch_stats(counts: Array, z: Array, z_q: Array, axis_name: str | None = None) -> dict[str, Array]:
    """Return the statistics of a `QuantizerOutput`.

    Args:
      counts: of all replicas, [K] or [G, K].
      z: before quantisation, [..., D].
      z_q: after it, [..., D].
      axis_name: mapped axis of replicas over which the error is averaged.

    Returns:
      counts, perplexity, used and quantization_error by name, without gradients.
    """
    usage = code_usage(counts)
    error = jnp.mean(jnp.square(z - z_q))
    error = jax.lax.pmean(error, axis_name) if axis_name else error
    stats = {"counts": counts, "perplexity": usage.perplexity, "used": usage.used, "quantization_error": error}
    return jax.lax.stop_gradient(stats)


def finite_rows(z: Array) -> Array:
    """Return which vectors [..., D] are finite, bool [...]: others must reach neither counts nor codes."""
    return jnp.all(jnp.isfinite(z), axis=-1)


def check_map(name: str, z: Array, dim: int) -> None:
    """Raise unless z is a map [B, h, w, dim] of finite numbers; what is being traced has no numbers to check.

    Args:
      name: of the quantizer, for the message.
      z: what it is given.
      dim: D.

    Raises:
      ValueError: it names the shape, or the first entry that is not finite.
    """
    check_shape(f"z of {name}", z, (None, None, None, dim))
    if isinstance(z, jax.core.Tracer):
        return
    wrong = np.argwhere(~np.isfinite(np.asarray(z, np.float32)))
    if len(wrong):
        place = ", ".join(map(str, wrong[0]))
        value = np.asarray(z)[tuple(wrong[0])]
        raise ValueError(f"z[{place}] of {name} is {value}, expected finite numbers: the encoder has diverged.")
