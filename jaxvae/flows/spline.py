"""Neural spline flows: couplings whose maps are monotone rational-quadratic splines (Durkan et al. 2019).

Shapes: N bins between N + 1 knots.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae.errors import check_shape
from jaxvae.flows.chain import Step
from jaxvae.flows.coupling import CouplingFlow, Elementwise
from jaxvae.types import Array

_SMALLEST_BIN = 1e-3  # width and height, as parts of the whole interval
_SMALLEST_DERIVATIVE = 1e-3


class SplineKnots(NamedTuple):
    """A spline of one variable through (x, y), rising everywhere; x and y begin and end alike."""

    x: Array  # [N + 1]
    y: Array  # [N + 1]
    derivatives: Array  # [N + 1], positive; 1 at both ends


def spline_knots(params: Array, bound: float) -> SplineKnots:
    """Make the knots of a spline on [-bound, bound] from any numbers; from zeros those of the identity.

    Widths and heights are softmaxes and derivatives softplus (Durkan et al. 2019, sec. 3.1), all kept from 0. The two
    outermost derivatives are 1, those of the tails.

    Departs from the paper: the softplus is moved such that a parameter of 0 is a derivative of 1.

    Args:
      params: of N widths, N heights and N - 1 derivatives, [3 N - 1].
      bound: half the length of the interval.

    Returns:
      x, y and derivatives, [N + 1] each.

    References:
      Durkan et al., "Neural spline flows", 2019, arXiv:1906.04032.
    """
    num_bins = (len(params) + 1) // 3
    check_shape("params of a spline", params, (3 * num_bins - 1,))
    widths, heights, derivatives = jnp.split(params, [num_bins, 2 * num_bins])
    one = math.log(math.expm1(1.0 - _SMALLEST_DERIVATIVE))
    inner = _SMALLEST_DERIVATIVE + jax.nn.softplus(derivatives + one)
    return SplineKnots(_edges(widths, bound), _edges(heights, bound), jnp.pad(inner, 1, constant_values=1.0))


def spline(knots: SplineKnots, z: Array) -> tuple[Array, Array]:
    """Apply a monotone rational-quadratic spline with linear tails to one number.

      y = y_k + h [s xi^2 + d_k xi (1 - xi)] / [s + (d_k+1 + d_k - 2 s) xi (1 - xi)]                    (eq. 4)
      dy/dz = s^2 [d_k+1 xi^2 + 2 s xi (1 - xi) + d_k (1 - xi)^2] / [s + (d_k+1 + d_k - 2 s) xi (1 - xi)]^2   (eq. 5)
      xi = (z - x_k) / w,  w = x_k+1 - x_k,  h = y_k+1 - y_k,  s = h / w

    for z between x_k and x_k+1, with derivatives d_k at the knots; the identity outside of all knots.

    Args:
      knots: x, y and derivatives, [N + 1] each.
      z: [].

    Returns:
      y [] and log dy/dz [].

    Raises:
      ValueError: if z is no scalar or x, y and derivatives differ in shape.

    References:
      Durkan et al., "Neural spline flows", 2019, arXiv:1906.04032.
    """
    inside, z_inside, here = _locate(knots, knots.x, z)
    xi = (z_inside - here.x) / here.width
    bump = xi * (1.0 - xi)
    slope = here.height / here.width
    y = here.y + here.height * (slope * jnp.square(xi) + here.left * bump) / _denominator(here, bump)
    return jnp.where(inside, y, z), jnp.where(inside, _log_derivative(here, xi), 0.0)


def spline_inverse(knots: SplineKnots, y: Array) -> tuple[Array, Array]:
    """Return the number that a spline maps to y, and the logarithm of its derivative there.

      a xi^2 + b xi + c = 0,  tau = (y - y_k) / h
      a = (1 - tau) (s - d_k) + tau (d_k+1 - s),  b = s - a,  c = -s tau         (eq. 6 to 8, divided by h)

    The root in [0, 1] is the one at which the quadratic rises, 2 c / (-b - sqrt(b^2 - 4 a c)). That loses its digits
    where b < 0, as (-b + sqrt(b^2 - 4 a c)) / (2 a) does elsewhere. Where a < 0 the discriminant is evaluated as
    (s + a)^2 - 4 a s (1 - tau): either way a sum of positive terms, which is never 0.

    Args:
      knots: x, y and derivatives, [N + 1] each.
      y: [].

    Returns:
      z [] and log dy/dz [] at z.

    Raises:
      ValueError: if y is no scalar or x, y and derivatives differ in shape.
    """
    inside, y_inside, here = _locate(knots, knots.y, y)
    tau = (y_inside - here.y) / here.height
    slope = here.height / here.width
    a = (1.0 - tau) * (slope - here.left) + tau * (here.right - slope)
    b = (1.0 - tau) * here.left + tau * (2.0 * slope - here.right)  # s - a
    mirrored = (1.0 - tau) * (2.0 * slope - here.left) + tau * here.right  # s + a
    discriminant = jnp.where(
        a < 0.0,
        jnp.square(mirrored) - 4.0 * a * slope * (1.0 - tau),
        jnp.square(b) + 4.0 * a * slope * tau,
    )
    root = jnp.sqrt(discriminant)
    # b < 0 only where a > s: the quotient that is not taken is by 1, lest its gradient be infinite.
    direct = 2.0 * slope * tau / jnp.where(b < 0.0, 1.0, b + root)
    xi = jnp.where(b < 0.0, 0.5 * (root - b) / jnp.where(b < 0.0, a, 1.0), direct)
    z = here.x + here.width * xi
    return jnp.where(inside, z, y), jnp.where(inside, _log_derivative(here, xi), 0.0)


class SplineCouplingFlow(CouplingFlow):
    """K layers of actnorm, mixing and spline coupling: `CouplingFlow` with `spline` for f.

    The actnorms give the splines numbers of standard deviation 1: the default interval holds all but their tails.

    Attributes:
      latent_dim: D.
      num_flows: K; 0 is the identity.
      hidden: the width of each hidden layer of the conditioner, at least one.
      mixing: "reverse" the order of the dimensions, or `linear`, which starts as the reversal.
      amortized: whether the conditioners get the context too, added in their first layer.
      num_bins: N.
      bound: splines are the identity outside of [-bound, bound].
    """

    num_bins: int = 8
    bound: float = 5.0

    @nn.nowrap
    def elementwise(self) -> Elementwise:
        """Return the map of z_b."""
        most = math.ceil(1.0 / _SMALLEST_BIN) - 1
        if not 1 <= self.num_bins <= most or self.bound <= 0.0:
            raise ValueError(
                f"{type(self).__name__} has {self.num_bins} bins within a bound of {self.bound}, "
                f"expected 1 to {most} within a positive one."
            )

        def over_dims(function: Step) -> Step:
            def one(params: Array, z: Array) -> tuple[Array, Array]:
                return function(spline_knots(params, self.bound), z)

            def every(params: Array, z: Array) -> tuple[Array, Array]:
                y, log_det = jax.vmap(one)(params, z)
                return y, jnp.sum(log_det)

            return every

        return Elementwise(3 * self.num_bins - 1, over_dims(spline), over_dims(spline_inverse))


# ---------- private


class _Bin(NamedTuple):
    """One bin, all []."""

    x: Array
    width: Array
    y: Array
    height: Array
    left: Array  # derivative at x
    right: Array  # derivative at x + width


def _edges(logits: Array, bound: float) -> Array:
    """The N + 1 ends of bins, of sizes proportional to softmax(logits [N]) but for the smallest."""
    sizes = _SMALLEST_BIN + (1.0 - _SMALLEST_BIN * len(logits)) * jax.nn.softmax(logits)
    inner = bound * (2.0 * jnp.cumsum(sizes)[:-1] - 1.0)
    return jnp.pad(inner, 1, constant_values=(-bound, bound))


def _locate(knots: SplineKnots, ends: Array, value: Array) -> tuple[Array, Array, _Bin]:
    """Whether a value is within the ends of the bins; itself, or the nearest such value; its bin."""
    check_shape("the argument of a spline", value, ())
    check_shape("x of a spline", knots.x, (None,))
    check_shape("y of a spline", knots.y, knots.x.shape)
    check_shape("derivatives of a spline", knots.derivatives, knots.x.shape)
    inside = (ends[0] < value) & (value < ends[-1])
    value = jnp.where(inside, value, ends[0])
    chosen = jnp.arange(len(ends) - 1) == jnp.sum(value >= ends[1:-1])

    def pick(values: Array) -> Array:  # not by an index, whose gradient is a scatter
        return jnp.sum(jnp.where(chosen, values, 0.0))

    x, y, derivatives = knots
    return (
        inside,
        value,
        _Bin(
            x=pick(x[:-1]),
            width=pick(jnp.diff(x)),
            y=pick(y[:-1]),
            height=pick(jnp.diff(y)),
            left=pick(derivatives[:-1]),
            right=pick(derivatives[1:]),
        ),
    )


def _denominator(here: _Bin, bump: Array) -> Array:
    """That of eq. 4, as a sum of positive terms: bump = xi (1 - xi) is at most 1/4."""
    return here.height / here.width * (1.0 - 2.0 * bump) + (here.left + here.right) * bump


def _log_derivative(here: _Bin, xi: Array) -> Array:
    slope, bump = here.height / here.width, xi * (1.0 - xi)
    numerator = here.right * jnp.square(xi) + 2.0 * slope * bump + here.left * jnp.square(1.0 - xi)
    return 2.0 * jnp.log(slope) + jnp.log(numerator) - 2.0 * jnp.log(_denominator(here, bump))
