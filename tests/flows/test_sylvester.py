"""Sylvester flows against the full Jacobian in float64, and the matrices that they are made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.flows.planar import PlanarParams, planar
from jaxvae.flows.sylvester import (
    SylvesterFlow,
    SylvesterParams,
    householder,
    orthonormal,
    sylvester,
    sylvester_inverse,
)
from tests.drawn import normal_like

D, M = 5, 3


def made(seed, dim=D, columns=M, scale=1.0):
    rng = np.random.default_rng(seed)
    q = np.linalg.qr(rng.standard_normal((dim, columns)))[0]
    rest = (scale * rng.standard_normal(shape) for shape in ((columns, columns), columns, columns, columns))
    return SylvesterParams(*(jnp.asarray(a, jnp.float32) for a in (q, *rest)))


def slow(params, z):
    """By the matrix formula: y, and log|det(I_D + Q R diag(h') R~ Q^T)| of the whole [D, D] Jacobian."""
    q, triangles, diagonal, diagonal_tilde, b, z = (np.asarray(a, np.float64) for a in (*params, z))
    m = len(b)
    r, r_tilde = np.zeros((m, m)), np.zeros((m, m))
    for i in range(m):
        r[i, i], r_tilde[i, i] = np.tanh(diagonal[i]), np.tanh(diagonal_tilde[i])
        for j in range(i + 1, m):
            r[i, j], r_tilde[i, j] = triangles[i, j], triangles[j, i]
    t = np.tanh(r_tilde @ q.T @ z + b)
    a, b = q @ r, np.diag(1.0 - t**2) @ r_tilde @ q.T
    sign, log_det = np.linalg.slogdet(np.eye(len(z)) + a @ b)
    assert sign == 1.0
    # Sylvester's identity, theorem 1: the same from an [M, M] matrix.
    np.testing.assert_allclose(np.linalg.slogdet(np.eye(m) + b @ a)[1], log_det, atol=1e-10)
    return z + q @ r @ t, log_det


@pytest.mark.parametrize("columns", [1, M, D])
@pytest.mark.parametrize("seed", range(3))
def test_sylvester_equals_the_paper(seed, columns):
    params = made(seed, columns=columns)
    z = jax.random.normal(jax.random.key(seed), (D,))
    y, log_det = sylvester(params, z)
    expected_y, expected = slow(params, z)
    np.testing.assert_allclose(y, expected_y, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_det, expected, rtol=1e-4, atol=1e-5)


def test_sylvester_by_hand():
    # Q = I, R = [[tanh 1, 2], [0, tanh -1]], R~ = [[tanh 2, -1], [0, tanh 1]], b = (1/2, 0), z = (1, 1):
    # R~ z + b = (0.9640276 - 1 + 0.5, 0.7615942), t = (0.4333611, 0.6420150).
    params = SylvesterParams(
        jnp.eye(2),
        jnp.array([[9.0, 2.0], [-1.0, 9.0]]),
        jnp.array([1.0, -1.0]),
        jnp.array([2.0, 1.0]),
        jnp.array([0.5, 0.0]),
    )
    y, log_det = sylvester(params, jnp.array([1.0, 1.0]))
    np.testing.assert_allclose(
        y, [1.0 + 0.7615942 * 0.4333611 + 2.0 * 0.6420150, 1.0 - 0.7615942 * 0.6420150], rtol=1e-6
    )
    factors = 1.0 + 0.7341978 * (1.0 - 0.4333611**2), 1.0 - 0.5800257 * (1.0 - 0.6420150**2)
    np.testing.assert_allclose(log_det, np.log(factors[0]) + np.log(factors[1]), rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_sylvester_with_one_column_is_a_planar_flow(seed):
    params = made(seed, columns=1)
    z = jax.random.normal(jax.random.key(seed), (D,))
    r, r_tilde = np.tanh(params.diagonal[0]), np.tanh(params.diagonal_tilde[0])
    w = r_tilde * params.q[:, 0]
    # The u whose constrained u_hat is r q: -1 + log(1 + e^(w.u)) = w.u_hat = r r~.
    u = np.log(np.expm1(1.0 + r * r_tilde)) / r_tilde * params.q[:, 0]
    for got, expected in zip(sylvester(params, z), planar(PlanarParams(u, w, params.b[0]), z), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [3.0, 12.0, 25.0])
def test_sylvester_keeps_its_digits_where_it_is_hardly_invertible(size):
    # At t = 0 the slope is 1 - tanh^2(size) = 1 / cosh^2(size), which rounds to 0 from size 9 on.
    params = SylvesterParams(jnp.eye(1), jnp.zeros((1, 1)), jnp.array([size]), jnp.array([-size]), jnp.zeros(1))
    _, log_det = sylvester(params, jnp.zeros(1))
    np.testing.assert_allclose(log_det, -2.0 * np.log(np.cosh(size)), rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_sylvester_inverse_far_away(seed):
    params = made(seed, scale=2.0)
    for size in (1e-2, 3.0, 40.0):
        z = size * jax.random.normal(jax.random.key(seed), (D,))
        y, log_det = sylvester(params, z)
        back, there = jax.jit(sylvester_inverse)(params, y)
        np.testing.assert_allclose(back, z, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(there, log_det, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("shape", [(4, 1), (6, 3), (5, 5), (64, 32)])
def test_orthonormal_columns_are_the_nearest_ones(shape):
    columns = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    q = orthonormal(jnp.asarray(columns))
    np.testing.assert_allclose(q.T @ q, np.eye(shape[1]), atol=1e-5)
    u, _, v = np.linalg.svd(columns.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(q, u @ v, atol=1e-4)


@pytest.mark.parametrize("smallest", [1e-2, 1e-4, 1e-5])
def test_orthonormal_columns_of_a_nearly_singular_matrix(smallest):
    rng = np.random.default_rng(1)
    u, v = (np.linalg.qr(rng.standard_normal((n, 4)))[0] for n in (7, 4))
    columns = u @ np.diag([1.0, 0.5, 0.1, smallest]) @ v
    q = orthonormal(jnp.asarray(columns, jnp.float32))
    np.testing.assert_allclose(q.T @ q, np.eye(4), atol=1e-5)


def test_orthonormal_has_the_gradient_of_the_nearest_columns():
    rng = np.random.default_rng(2)
    columns, direction, weights = rng.standard_normal((3, 5, 3))

    def nearest(a):
        u, _, v = np.linalg.svd(a, full_matrices=False)
        return u @ v

    expected = (nearest(columns + 1e-5 * direction) - nearest(columns - 1e-5 * direction)) / 2e-5
    columns, direction, weights = (jnp.asarray(a, jnp.float32) for a in (columns, direction, weights))
    _, forward = jax.jvp(orthonormal, (columns,), (direction,))
    np.testing.assert_allclose(forward, expected, atol=1e-5)
    reverse = jax.jit(jax.grad(lambda a: jnp.sum(weights * orthonormal(a))))(columns)
    np.testing.assert_allclose(jnp.sum(reverse * direction), np.sum(np.asarray(weights) * expected), rtol=1e-4)


def test_orthonormal_is_finite_without_a_rank():
    for columns in (jnp.zeros((3, 2)), jnp.ones((3, 2)), 1e6 * jnp.ones((3, 2))):
        q, reverse = jax.value_and_grad(lambda a: jnp.sum(jnp.sin(orthonormal(a))))(columns)
        assert np.isfinite(q)
        assert np.all(np.isfinite(reverse))


def test_householder_is_the_product_of_its_reflections():
    vectors = np.random.default_rng(3).standard_normal((3, 4)).astype(np.float32)
    expected = np.eye(4)
    for v in vectors.astype(np.float64):
        expected = (np.eye(4) - 2.0 * np.outer(v, v) / (v @ v)) @ expected
    q = householder(jnp.asarray(vectors))
    np.testing.assert_allclose(q, expected, atol=1e-6)
    np.testing.assert_allclose(q.T @ q, np.eye(4), atol=1e-5)


KINDS = {
    "orthogonal": {"kind": "orthogonal", "num_columns": 3},
    "householder": {"kind": "householder", "num_reflections": 2},
    "triangular": {"kind": "triangular"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_flow_is_its_sylvester_maps_one_after_another(kind):
    flow = SylvesterFlow(4, 3, **KINDS[kind])
    z = np.array([[[0.4, -1.1, 0.8, 0.1]]], np.float32)
    params = normal_like(jax.eval_shape(flow.init, jax.random.key(1), z), scale=0.7)
    own = params["params"]["layers"]
    expected, total = z[0, 0], 0.0
    for k in range(3):
        rest = (own[name][k] for name in ("triangles", "diagonal", "diagonal_tilde", "b"))
        match kind:
            case "orthogonal":
                u, _, v = np.linalg.svd(np.asarray(own["vectors"][k], np.float64), full_matrices=False)
                q = u @ v
            case "householder":
                q = householder(own["vectors"][k])
            case "triangular":
                q = np.eye(4)[::-1] if k == 1 else np.eye(4)
        expected, log_det = slow(SylvesterParams(q, *rest), expected)
        total += log_det
    y, log_det = flow.apply(params, z)
    np.testing.assert_allclose(y[0, 0], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(log_det[0, 0], total, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_flow_starts_near_the_identity(kind):
    flow = SylvesterFlow(4, 1, **KINDS[kind])
    z = jax.random.normal(jax.random.key(0), (5, 1, 4))
    y, log_det = jax.jit(flow.init_with_output)(jax.random.key(1), z)[0]
    np.testing.assert_allclose(y, z, atol=0.3)
    np.testing.assert_allclose(log_det, np.zeros((5, 1)), atol=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "square"}, "kind 'square', expected one of orthogonal, householder, triangular"),
        ({"kind": "orthogonal"}, "kind orthogonal has num_columns None, expected 1 to 4"),
        ({"kind": "orthogonal", "num_columns": 5}, "num_columns 5, expected 1 to 4"),
        ({"kind": "householder", "num_reflections": 0}, "num_reflections 0, expected 1 to 4"),
        (
            {"kind": "triangular", "num_columns": 2},
            "kind triangular has num_columns 2, expected None: it is of orthogonal",
        ),
    ],
)
def test_flow_names_a_wrong_kind(options, message):
    with pytest.raises(ValueError, match=message):
        SylvesterFlow(4, 2, **options).init(jax.random.key(0), jnp.zeros((1, 1, 4)))


def test_sylvester_refuses_other_shapes():
    params = made(0)
    with pytest.raises(ValueError, match=r"q of a Sylvester flow has shape \[5, 3\], expected \[4, any\]"):
        sylvester(params, jnp.zeros(4))
    with pytest.raises(ValueError, match=r"diagonal_tilde of a Sylvester flow has shape \[2\], expected \[3\]"):
        sylvester_inverse(params._replace(diagonal_tilde=jnp.zeros(2)), jnp.zeros(5))
