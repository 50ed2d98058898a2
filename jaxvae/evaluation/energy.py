"""The energy score: how far samples are from data, of a model that can do nothing but draw them."""

import jax.numpy as jnp

from jaxvae.errors import check_shape
from jaxvae.types import Array


def energy_score(x: Array, samples: Array) -> Array:
    """Return the energy score of a model at every example, estimated without bias by its samples.

      score_i = 1/S sum_s |x_i - y_s| - 1/2 1/(S (S - 1)) sum_(s != t) |y_s - y_t|

    The first term asks for samples near the data, the second for samples that differ among themselves. Its mean over
    the data is smallest for the distribution of the data and no other (it is strictly proper), half the energy distance
    above what the data themselves would have: blurred, wrong or too few kinds of samples all raise it.

    Args:
      x: examples [B, ...].
      samples: S >= 2 draws of the model, [S, ...], the same for all examples.

    Returns:
      [B], in the unit of x; smaller is better.

    References:
      Gneiting & Raftery, "Strictly proper scoring rules, prediction, and estimation", 2007, sec. 4.2 (there with the
      opposite sign).
    """
    check_shape("samples of an energy score", samples, (None, *x.shape[1:]))
    y, num = samples.reshape(len(samples), -1), len(samples)
    if num < 2:
        raise ValueError(f"An energy score takes two samples or more, got {num}.")
    near = jnp.mean(_distances(x.reshape(len(x), -1), y), axis=1)
    among = jnp.sum(jnp.where(jnp.eye(num, dtype=bool), 0.0, _distances(y, y))) / (num * (num - 1))
    return near - 0.5 * among


def _distances(a: Array, b: Array) -> Array:
    """|a_i - b_j|, [N, D], [M, D] -> [N, M]."""
    squares = jnp.sum(jnp.square(a), axis=1)[:, None] + jnp.sum(jnp.square(b), axis=1)[None] - 2.0 * a @ b.T
    return jnp.sqrt(jnp.maximum(squares, 0.0))
