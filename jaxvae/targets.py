"""Densities in the plane to try flows on: a mixture of two Gaussians, and the four energies of Rezende & Mohamed.

A `Target` knows its log-density up to a constant; the constant comes from quadrature, so that what a flow reaches can
be stated as a divergence in nats.

References:
  Rezende & Mohamed, "Variational Inference with Normalizing Flows", 2015, arXiv:1505.05770, table 1 and fig. 3.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.types import Array, PRNGKey

WALL = 4.0  # |z_1| beyond which U2 to U4 rise
WALL_SCALE = 0.2
HALF_WIDTH = 9.0  # of the square that quadrature covers: every target here is below 1e-13 at its edge


class Target(NamedTuple):
    """A density of one point of the plane, not normalised."""

    name: str
    log_density: Callable[[Array], Array]  # z [2] -> [], nats; log p(z) + log Z


def gaussian_mixture(scale: float = 1.0, offset: float = 1.5) -> Target:
    """Return the equal mixture of Gaussians at (offset, offset) and (-offset, -offset), normalised.

    Args:
      scale: standard deviation of both components, in both dimensions.
      offset: of their means.
    """

    def log_density(z: Array) -> Array:
        squares = jnp.stack([jnp.sum(jnp.square(z - offset)), jnp.sum(jnp.square(z + offset))])
        return jax.nn.logsumexp(-0.5 * squares / scale**2) - jnp.log(4.0 * jnp.pi * scale**2)

    return Target(f"mixture, sd {scale:g}", log_density)


def energies() -> tuple[Target, ...]:
    """Return U1 to U4 of Rezende & Mohamed 2015, table 1, as log-densities -U(z).

    Departs from the table in U2 to U4, which are constant along z_1 to infinity and so no densities: a wall
    max(|z_1| - 4, 0)^2 / (2 * 0.2^2) is added to them.
    """
    return (
        Target("U1", lambda z: -_ring(z)),
        Target("U2", lambda z: -_ridge(z[1] - _w1(z), 0.4) - _wall(z)),
        Target("U3", lambda z: _either(_ridge(z[1] - _w1(z), 0.35), _ridge(z[1] - _w1(z) + _w2(z), 0.35)) - _wall(z)),
        Target("U4", lambda z: _either(_ridge(z[1] - _w1(z), 0.4), _ridge(z[1] - _w1(z) + _w3(z), 0.35)) - _wall(z)),
    )


def on_grid(target: Target, num: int, half_width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the middles of the cells of a grid over a square around 0, [num], and log-densities there, [num, num].

    Entry [i, j] is of z = (axis[i], axis[j]).
    """
    axis = (np.arange(num, dtype=np.float32) + 0.5) / num * 2 * half_width - half_width
    rows = jax.jit(jax.vmap(jax.vmap(target.log_density)))
    values = [rows(np.stack(np.meshgrid(axis[i : i + 100], axis, indexing="ij"), -1)) for i in range(0, num, 100)]
    return axis, np.concatenate(values)


def log_normalizer(target: Target, num: int = 900) -> float:
    """Return log Z, the logarithm of the integral of exp(log_density), by the midpoint rule.

    Args:
      target: whose mass lies in [-9, 9]^2.
      num: cells a side.

    Raises:
      ValueError: if a log-density is not a number or +inf, or all are -inf.
    """
    _, values = on_grid(target, num, HALF_WIDTH)
    _check_finite(target, values)
    values = values.astype(np.float64)
    highest = values.max()
    cell = (2 * HALF_WIDTH / num) ** 2
    return float(highest + np.log(np.exp(values - highest).sum() * cell))


def draw(key: PRNGKey, target: Target, num: int, cells: int = 1800) -> np.ndarray:
    """Draw points of a target: a cell of a grid by its mass, and a place within the cell.

    Args:
      key: of the draws.
      target: whose mass lies in [-9, 9]^2.
      num: N, points.
      cells: a side; a density is taken as constant within one, 0.01 wide by default.

    Returns:
      float32, [N, 2].

    Raises:
      ValueError: as `log_normalizer` does.
    """
    axis, values = on_grid(target, cells, HALF_WIDTH)
    _check_finite(target, values)
    values = values.astype(np.float64)
    edges = np.cumsum(np.exp(values - values.max()).ravel())
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    chosen = np.searchsorted(edges, edges[-1] * generator.random(num), side="right")
    within = (generator.random((num, 2)) - 0.5) * (2 * HALF_WIDTH / cells)
    return (np.stack([axis[chosen // cells], axis[chosen % cells]], axis=-1) + within).astype(np.float32)


# ---------- private


def _check_finite(target: Target, values: np.ndarray) -> None:
    highest = values.max()
    if not (np.all(values < np.inf) and highest > -np.inf):
        found = "has no mass there" if highest == -np.inf else f"has a log-density of {highest}"
        raise ValueError(f"The target {target.name} {found}, expected finite numbers, or -inf in some places.")


def _ring(z: Array) -> Array:
    radius = jnp.sqrt(jnp.sum(jnp.square(z)) + 1e-12)  # differentiable at 0
    modes = jnp.stack([-0.5 * jnp.square((z[0] - 2.0) / 0.6), -0.5 * jnp.square((z[0] + 2.0) / 0.6)])
    return 0.5 * jnp.square((radius - 2.0) / 0.4) - jax.nn.logsumexp(modes)


def _ridge(distance: Array, width: float) -> Array:
    return 0.5 * jnp.square(distance / width)


def _either(a: Array, b: Array) -> Array:
    return jnp.logaddexp(-a, -b)


def _wall(z: Array) -> Array:
    return _ridge(jnp.maximum(jnp.abs(z[0]) - WALL, 0.0), WALL_SCALE)


def _w1(z: Array) -> Array:
    return jnp.sin(2.0 * jnp.pi * z[0] / 4.0)


def _w2(z: Array) -> Array:
    return 3.0 * jnp.exp(-0.5 * jnp.square((z[0] - 1.0) / 0.6))


def _w3(z: Array) -> Array:
    return 3.0 * jax.nn.sigmoid((z[0] - 1.0) / 0.3)
