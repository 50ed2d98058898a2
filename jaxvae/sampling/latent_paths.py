"""Where to decode: paths between latents, a grid over the prior, walks along one dimension.

Pure functions that return latents [num, D]; decoding them is the model's.
"""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from jaxvae.errors import check_shape
from jaxvae.types import Array

_GEODESIC_STEPS = 100  # of L-BFGS
_SMALL_SINE = 1e-3  # below it slerp divides by too little for float32, and two nearly parallel vectors need no arc


def linear(a: Array, b: Array, num: int) -> Array:
    """Return points on the straight line from a to b, both included, [D], [D] -> [num, D]."""
    a, b = _end_points(a, b)
    t = jnp.linspace(0.0, 1.0, num)[:, None]
    return (1.0 - t) * a[None] + t * b[None]


def spherical(a: Array, b: Array, num: int) -> Array:
    """Return points on the arc from a to b, both included.

      z_t = sin((1 - t) w) / sin(w) a + sin(t w) / sin(w) b,    w the angle between a and b

    Gaussian latents lie near a sphere of radius sqrt(D), which a straight line leaves: its middle is shorter than any
    latent that the decoder was trained on. Vectors that are parallel, opposite or zero have no arc of their own and get
    the straight line.

    Args:
      a: one latent, [D].
      b: another, [D].
      num: points.

    Returns:
      [num, D].

    References:
      Shoemake, "Animating Rotation with Quaternion Curves", 1985.
      White, "Sampling Generative Networks", 2016, arXiv:1609.04468, sec. 2.1.
    """
    a, b = _end_points(a, b)
    # atan2 of the half angle: the arc cosine of the inner product loses half the digits near 0 and pi.
    unit_a, unit_b = _unit(a), _unit(b)
    angle = 2.0 * jnp.arctan2(jnp.linalg.norm(unit_a - unit_b), jnp.linalg.norm(unit_a + unit_b))
    straight = (jnp.sin(angle) < _SMALL_SINE) | ~jnp.any(a) | ~jnp.any(b)
    angle = jnp.where(straight, 1.0, angle)
    t = jnp.linspace(0.0, 1.0, num)[:, None]
    arc = (jnp.sin((1.0 - t) * angle) * a[None] + jnp.sin(t * angle) * b[None]) / jnp.sin(angle)
    return jnp.where(straight, linear(a, b, num), arc)


def normed(a: Array, b: Array, num: int) -> Array:
    """Return points in the directions of the straight line from a to b, both included, with lengths between theirs.

      z_t = l_t / |l_t| ((1 - t) |a| + t |b|),    l_t = (1 - t) a + t b

    Like `spherical` it keeps the length that the decoder was trained on, in steps of unequal angles. A straight line
    through zero has no direction there, and stays zero.

    Args:
      a: one latent, [D].
      b: another, [D].
      num: points.

    Returns:
      [num, D].
    """
    line, t = linear(a, b, num), jnp.linspace(0.0, 1.0, num)[:, None]
    a, b = _end_points(a, b)
    return jax.vmap(_unit)(line) * ((1.0 - t) * jnp.linalg.norm(a) + t * jnp.linalg.norm(b))


def geodesic(decode: Callable[[Array], Array], a: Array, b: Array, num: int) -> Array:
    """Return points on a path from a to b, both included, along which the decoded images change least.

      min_z  (num - 1) sum_t |f(z_{t+1}) - f(z_t)|^2

    is the energy of a curve in the metric J^T J that a decoder f gives the latents, J its derivative; the least one has
    a constant speed. L-BFGS starts from the straight line: where several paths are shorter than those around them, it
    finds one of these.

    Args:
      decode: f, latents [num, D] -> images or other arrays [num, ...], differentiable.
      a: one latent, [D].
      b: another, [D].
      num: points.

    Returns:
      [num, D].

    References:
      Shao, Kumar & Fletcher, "The Riemannian Geometry of Deep Generative Models", 2018, arXiv:1711.08014, algorithm 1.
      Arvanitidis, Hansen & Hauberg, "Latent Space Oddity", 2018, arXiv:1710.11379.
    """
    line = linear(a, b, num)

    def path(inner: Array) -> Array:
        return jnp.concatenate([line[:1], inner, line[-1:]])

    def energy(inner: Array) -> Array:
        images = decode(path(inner)).reshape(num, -1)
        return (num - 1) * jnp.sum(jnp.square(images[1:] - images[:-1]))

    solver = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(energy)

    def step(_: Any, carry: tuple[Array, Any]) -> tuple[Array, Any]:
        inner, state = carry
        value, grad = value_and_grad(inner, state=state)
        options: dict[str, Any] = {"value": value, "grad": grad, "value_fn": energy}
        updates, state = solver.update(grad, state, inner, **options)
        return optax.apply_updates(inner, updates), state

    found, _ = jax.lax.fori_loop(0, _GEODESIC_STEPS, step, (line[1:-1], solver.init(line[1:-1])))
    return path(jnp.where(energy(found) < energy(line[1:-1]), found, line[1:-1]))  # also where it is not a number


def manifold(num: int, dim: int = 2) -> Array:
    """Return a grid over the first two latent dimensions, equally spaced in the probability of a standard normal prior.

    Coordinates are the quantiles (i + 1/2) / num. Points are in the order of a picture's rows: z_1 rises to the right
    and z_2 upwards, as in a plot.

    Args:
      num: points a side.
      dim: D, at least 2; dimensions from the third on are 0, the prior's mean.

    Returns:
      [num * num, D].

    References:
      Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, arXiv:1312.6114, fig. 4.
    """
    if num < 1 or dim < 2:
        raise ValueError(f"A grid of {num} points a side in {dim} dimensions, expected at least 1 and 2.")
    quantiles = jnp.array([NormalDist().inv_cdf((i + 0.5) / num) for i in range(num)])
    z_2, z_1 = jnp.meshgrid(quantiles[::-1], quantiles, indexing="ij")
    grid = jnp.stack([z_1.ravel(), z_2.ravel()], axis=1)
    return jnp.pad(grid, ((0, 0), (0, dim - 2)))


def traversal(z: Array, dimension: int, values: ArrayLike) -> Array:
    """Return copies of a latent that differ in one dimension.

    Args:
      z: one latent, [D].
      dimension: the index that changes.
      values: what it becomes, [T].

    Returns:
      [T, D].
    """
    z, values = jnp.asarray(z), jnp.asarray(values)
    check_shape("z", z, (None,))
    check_shape("values", values, (None,))
    if not 0 <= dimension < len(z):  # JAX would drop the update without a word
        raise ValueError(f"dimension is {dimension}, expected 0 to {len(z) - 1}.")
    return jnp.tile(z, (len(values), 1)).at[:, dimension].set(values.astype(z.dtype))


# ---------- private


def _end_points(a: Array, b: Array) -> tuple[Array, Array]:
    a, b = jnp.asarray(a), jnp.asarray(b)
    check_shape("a", a, (None,))
    check_shape("b", b, a.shape)
    return a, b


def _unit(z: Array) -> Array:
    norm = jnp.linalg.norm(z)
    return z / jnp.where(norm > 0.0, norm, 1.0)
