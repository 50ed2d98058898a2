"""The spline of one number against the paper, slowly and in float64, and what must hold at its knots and tails."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.flows.spline import SplineCouplingFlow, SplineKnots, spline, spline_inverse, spline_knots

BOUND = 4.0
NUM_BINS = 6


def knots_of(seed, scale=2.0):
    return spline_knots(scale * jax.random.normal(jax.random.key(seed), (3 * NUM_BINS - 1,)), BOUND)


def over(function, knots, values):
    return jax.jit(jax.vmap(function, in_axes=(None, 0)))(knots, jnp.asarray(values, jnp.float32))


def slow_knots(params, num_bins, bound):
    params = np.asarray(params, np.float64)
    edges = []
    for logits in (params[:num_bins], params[num_bins : 2 * num_bins]):
        sizes = np.exp(logits) / np.sum(np.exp(logits))
        sizes = 0.001 + (1.0 - 0.001 * num_bins) * sizes
        edges.append([-bound + 2.0 * bound * sum(sizes[:k]) for k in range(num_bins + 1)])
    shift = np.log(np.exp(1.0 - 0.001) - 1.0)
    inner = [0.001 + np.log(1.0 + np.exp(p + shift)) for p in params[2 * num_bins :]]
    return np.array(edges[0]), np.array(edges[1]), np.array([1.0, *inner, 1.0])


def slow_bin(ends, value):
    return next((k for k in range(len(ends) - 1) if ends[k] <= value < ends[k + 1]), None)


def slow_derivative(x, y, derivatives, k, xi):
    s, left, right = (y[k + 1] - y[k]) / (x[k + 1] - x[k]), derivatives[k], derivatives[k + 1]
    top = s**2 * (right * xi**2 + 2 * s * xi * (1 - xi) + left * (1 - xi) ** 2)
    return top / (s + (right + left - 2 * s) * xi * (1 - xi)) ** 2


def slow(x, y, derivatives, z):
    k = slow_bin(x, z)
    if k is None:
        return z, 0.0
    xi, s = (z - x[k]) / (x[k + 1] - x[k]), (y[k + 1] - y[k]) / (x[k + 1] - x[k])
    left, right = derivatives[k], derivatives[k + 1]
    fraction = (s * xi**2 + left * xi * (1 - xi)) / (s + (right + left - 2 * s) * xi * (1 - xi))
    return y[k] + (y[k + 1] - y[k]) * fraction, np.log(slow_derivative(x, y, derivatives, k, xi))


def slow_inverse(x, y, derivatives, value):
    k = slow_bin(y, value)
    if k is None:
        return value, 0.0
    height, s = y[k + 1] - y[k], (y[k + 1] - y[k]) / (x[k + 1] - x[k])
    left, right = derivatives[k], derivatives[k + 1]
    a = height * (s - left) + (value - y[k]) * (right + left - 2 * s)
    b = height * left - (value - y[k]) * (right + left - 2 * s)
    c = -s * (value - y[k])
    xi = 2 * c / (-b - np.sqrt(b**2 - 4 * a * c))
    return x[k] + xi * (x[k + 1] - x[k]), np.log(slow_derivative(x, y, derivatives, k, xi))


@pytest.mark.parametrize("seed", range(4))
def test_spline_and_its_inverse_equal_the_paper(seed):
    knots = knots_of(seed)
    wide = [np.asarray(a, np.float64) for a in knots]
    values = np.linspace(-BOUND - 1.0, BOUND + 1.0, 97).astype(np.float32)
    for function, expected in ((spline, slow), (spline_inverse, slow_inverse)):
        got, log_det = over(function, knots, values)
        want = np.array([expected(*wide, float(value)) for value in values])
        np.testing.assert_allclose(got, want[:, 0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(log_det, want[:, 1], rtol=1e-3, atol=2e-3)


def test_spline_by_hand():
    # Bins of slope 1/2 and 3/2 that meet at (0, -1) with derivative 2.
    knots = SplineKnots(jnp.array([-2.0, 0.0, 2.0]), jnp.array([-2.0, -1.0, 2.0]), jnp.array([1.0, 2.0, 1.0]))
    # z = 1: xi = 1/2, y = -1 + 3 (3/8 + 2/4) / (3/2 + 0) = 3/4, dy/dz = 9/4 (1/4 + 3/4 + 2/4) / (9/4) = 3/2.
    y, log_det = spline(knots, jnp.float32(1.0))
    np.testing.assert_allclose(y, 0.75, rtol=1e-6)
    np.testing.assert_allclose(log_det, np.log(1.5), rtol=1e-6)
    # z = -1: xi = 1/2, y = -2 + (1/8 + 1/4) / (1/2 + 2/4) = -13/8, dy/dz = 1/4 (2/4 + 1/4 + 1/4) / 1 = 1/4.
    y, log_det = spline(knots, jnp.float32(-1.0))
    np.testing.assert_allclose(y, -1.625, rtol=1e-6)
    np.testing.assert_allclose(log_det, np.log(0.25), rtol=1e-6)
    for z, y in ((1.0, 0.75), (-1.0, -1.625)):
        back, log_det = spline_inverse(knots, jnp.float32(y))
        np.testing.assert_allclose(back, z, rtol=1e-6)
        np.testing.assert_allclose(log_det, spline(knots, jnp.float32(z))[1], rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_knots_equal_softmaxes_and_softplus(seed):
    params = 2.0 * jax.random.normal(jax.random.key(seed), (3 * NUM_BINS - 1,))
    for got, want in zip(spline_knots(params, BOUND), slow_knots(params, NUM_BINS, BOUND), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("num_bins", [1, 2, 8])
def test_parameters_of_zero_are_the_identity(num_bins):
    values = np.linspace(-6.0, 6.0, 41).astype(np.float32)
    knots = spline_knots(jnp.zeros(3 * num_bins - 1), BOUND)
    for function in (spline, spline_inverse):
        got, log_det = over(function, knots, values)
        np.testing.assert_allclose(got, values, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(log_det, np.zeros(41), atol=1e-5)


@pytest.mark.parametrize("function", [spline, spline_inverse])
def test_tails_are_the_identity(function):
    values = np.array([-1e30, -100.0, -BOUND, BOUND, np.nextafter(np.float32(BOUND), np.float32(9)), 1e30], np.float32)
    knots = knots_of(0)._replace(derivatives=jnp.full(NUM_BINS + 1, 2.0))  # what the bins do at their ends is no matter
    got, log_det = over(function, knots, values)
    np.testing.assert_array_equal(got, values)
    np.testing.assert_array_equal(log_det, np.zeros(6))
    slope = jax.vmap(jax.grad(lambda z: function(knots, z)[0]))(jnp.asarray(values))
    np.testing.assert_array_equal(slope, np.ones(6))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [2.0, 30.0])
def test_spline_rises(seed, scale):
    y, _ = over(spline, knots_of(seed, scale), np.linspace(-BOUND - 0.5, BOUND + 0.5, 5001))
    assert np.min(np.diff(np.asarray(y, np.float64))) >= -1e-6


@pytest.mark.parametrize("seed", range(4))
def test_spline_goes_through_its_knots_with_their_derivatives_on_both_sides(seed):
    knots = knots_of(seed, scale=1.0)
    y, log_det = over(spline, knots, knots.x)
    np.testing.assert_allclose(y, knots.y, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.exp(log_det), knots.derivatives, rtol=1e-5)
    back, log_det_there = over(spline_inverse, knots, knots.y)
    np.testing.assert_allclose(back, knots.x, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_det_there, log_det, rtol=1e-4, atol=1e-4)
    # Just below a knot it is the other bin that is evaluated.
    below = np.nextafter(np.asarray(knots.x), np.float32(-np.inf))
    np.testing.assert_allclose(over(spline, knots, below)[0], knots.y, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.exp(over(spline, knots, below)[1]), knots.derivatives, rtol=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_log_det_is_that_of_the_gradient(seed):
    knots = knots_of(seed)
    z = jnp.linspace(-BOUND - 0.5, BOUND + 0.5, 101)
    slopes = jax.vmap(jax.grad(lambda z: spline(knots, z)[0]))(z)
    np.testing.assert_allclose(over(spline, knots, z)[1], np.log(slopes), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("left", "right", "height"),
    [(1e-3, 1e3, 1.0), (1e3, 1e-3, 1.0), (1e-3, 1e-3, 4.0), (1.0, 1e-3, 1.0), (10.0, 10.0, 0.125)],
)
def test_inverse_keeps_its_digits_where_derivatives_are_extreme(left, right, height):
    # One bin of width 1 that starts at 0, with tails at any height: each value's digits against float64. Just below a
    # knot of small derivative the discriminant is the small difference of two terms, if taken as in the paper.
    knots = SplineKnots(jnp.array([0.0, 1.0]), jnp.array([0.0, height]), jnp.array([left, right]))
    wide = [np.asarray(a, np.float64) for a in knots]
    values = height * np.array([*np.linspace(0.001, 0.999, 51), 1 - 2e-6, 1 - 3e-7, 1 - 6e-8], np.float32)
    got, _ = over(spline_inverse, knots, values)
    want = np.array([slow_inverse(*wide, float(value))[0] for value in values])
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-7)


@pytest.mark.parametrize("function", [spline, spline_inverse])
@pytest.mark.parametrize("scale", [0.0, 1000.0])
def test_gradients_are_finite_everywhere(function, scale):
    params = scale * jax.random.normal(jax.random.key(3), (3 * NUM_BINS - 1,))
    knots = spline_knots(params, BOUND)
    values = jnp.concatenate([knots.x, knots.y, jnp.array([-1e30, -0.3, 1e30])])
    both = lambda params, z: jnp.stack(function(spline_knots(params, BOUND), z))  # noqa: E731
    results = jax.jit(jax.vmap(both, in_axes=(None, 0)))(params, values)
    gradients = jax.jit(jax.vmap(jax.jacrev(both, argnums=(0, 1)), in_axes=(None, 0)))(params, values)
    for leaf in jax.tree.leaves((results, gradients)):
        assert np.all(np.isfinite(leaf))


@pytest.mark.parametrize("dim", [1, 5])
def test_a_new_flow_is_actnorm_and_reversal_alone(dim):
    flow = SplineCouplingFlow(dim, 3)
    z = 3.0 + 2.0 * jax.random.normal(jax.random.key(5), (2, 40, dim))
    (y, log_det), _ = jax.jit(flow.init_with_output)(jax.random.key(0), z)
    mean, std = np.mean(z, axis=(0, 1)), np.std(z, axis=(0, 1))
    np.testing.assert_allclose(y, ((z - mean[None, None]) / std[None, None])[..., ::-1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(log_det, np.full(log_det.shape, -np.sum(np.log(std))), rtol=1e-4, atol=1e-4)


def test_a_coupling_is_the_spline_of_each_dimension():
    flow = SplineCouplingFlow(3, 1, num_bins=4, bound=2.0)
    params = jax.random.normal(jax.random.key(6), (2, 11))
    z = jnp.array([0.3, -1.1])
    y, log_det = flow.elementwise().forward(params, z)
    parts = [slow(*slow_knots(params[d], 4, 2.0), float(z[d])) for d in range(2)]
    np.testing.assert_allclose(y, [parts[0][0], parts[1][0]], rtol=1e-5)
    np.testing.assert_allclose(log_det, parts[0][1] + parts[1][1], rtol=1e-4, atol=1e-5)
    assert flow.elementwise().num_params == 11


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"SplineCouplingFlow has 0 bins within a bound of 5.0, expected 1 to 999"):
        SplineCouplingFlow(3, 2, num_bins=0).init(jax.random.key(0), jnp.zeros((1, 1, 3)))
    with pytest.raises(ValueError, match=r"SplineCouplingFlow has 8 bins within a bound of 0.0, expected 1 to 999"):
        SplineCouplingFlow(3, 2, bound=0.0).init(jax.random.key(0), jnp.zeros((1, 1, 3)))
    with pytest.raises(ValueError, match=r"params of a spline has shape \[12\], expected \[11\]"):
        spline_knots(jnp.zeros(12), 1.0)
    with pytest.raises(ValueError, match=r"the argument of a spline has shape \[3\], expected \[\]"):
        spline(knots_of(0), jnp.zeros(3))
    with pytest.raises(ValueError, match=r"derivatives of a spline has shape \[5\], expected \[7\]"):
        spline(knots_of(0)._replace(derivatives=jnp.ones(5)), jnp.zeros(()))
