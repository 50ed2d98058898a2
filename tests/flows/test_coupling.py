"""Coupling flows against a slow loop in float64, and what their initial values promise about the first batch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.flows.affine import AffineParams, affine, affine_inverse
from jaxvae.flows.coupling import CouplingFlow, linear, linear_inverse
from tests.drawn import normal_like

BOUND = 3.0  # of a log-scale


def batch(dim, *, scale=4.0, num_examples=50):
    """Latents [3, B, D] whose dimensions differ in mean and spread."""
    z = np.random.default_rng(2).standard_normal((3, num_examples, dim))
    return jnp.asarray(scale * (z * np.linspace(0.5, 2.0, dim) + np.linspace(-1.0, 3.0, dim)), jnp.float32)


def context_of(flow, num_examples=50):
    return jax.random.normal(jax.random.key(4), (num_examples, 6)) if flow.amortized else None


def init(flow, z, method="__call__"):
    """What a new flow makes of the batch that it is initialised with, and its parameters."""
    function = jax.jit(functools.partial(flow.init_with_output, method=method))
    return function(jax.random.key(0), z, context_of(flow, z.shape[1]))


def moved(params):
    return jax.tree.map(jnp.add, params, normal_like(params, scale=0.3))


def bounded(log_scale):
    return BOUND * np.tanh(log_scale / BOUND)


def slow(flow, params, z, context):
    """One latent, one number after the other."""
    layers = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"]["layers"])
    z, dim, total = np.asarray(z, np.float64), flow.latent_dim, 0.0
    for k in range(flow.num_flows):
        layer = jax.tree.map(lambda leaf, k=k: leaf[k], layers)
        for d in range(dim):
            s = bounded(layer["actnorm"]["log_scale"][d])
            z[d] = z[d] * np.exp(s) + layer["actnorm"]["shift"][d]
            total += s
        reverse = np.eye(dim)[::-1]
        if flow.mixing == "linear":
            s = bounded(np.diag(layer["lu"]))
            matrix = reverse @ (np.tril(layer["lu"], -1) + np.eye(dim)) @ (np.triu(layer["lu"], 1) + np.diag(np.exp(s)))
            total += np.linalg.slogdet(matrix)[1]
        else:
            matrix = reverse
        z = matrix @ z
        net, part = layer["conditioner"], dim // 2
        h = (z[:part] if part else np.ones(1)) @ net["first"]["kernel"] + net["first"]["bias"]
        if flow.amortized:
            h = h + np.asarray(context, np.float64) @ net["context"]["kernel"]
        h = np.tanh(h)
        for dense in (net["mlp"][name] for name in sorted(net.get("mlp", {}))):
            h = np.tanh(h @ dense["kernel"] + dense["bias"])
        out = h @ net["last"]["kernel"] + net["last"]["bias"]
        for i, d in enumerate(range(part, dim)):
            s = bounded(out[2 * i])
            z[d] = z[d] * np.exp(s) + out[2 * i + 1]
            total += s
    return z, total


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("options", [{"hidden": (7,)}, {"mixing": "linear"}, {"amortized": True}], ids=str)
def test_layers_equal_the_papers(dim, options):
    flow = CouplingFlow(dim, 3, **{"hidden": (8, 4), **options})
    z = batch(dim)
    context = context_of(flow)
    params = moved(init(flow, z)[1])
    y, log_det = jax.jit(flow.apply)(params, z, context)
    back, log_det_there = jax.jit(functools.partial(flow.apply, method="inverse"))(params, y, context)
    np.testing.assert_allclose(back, z, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(log_det_there, log_det, rtol=1e-3, atol=1e-4)
    for s, b in ((0, 0), (1, 20), (2, 49)):
        expected_y, expected = slow(flow, params, z[s, b], None if context is None else context[b])
        np.testing.assert_allclose(y[s, b], expected_y, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(log_det[s, b], expected, rtol=1e-4, atol=1e-4)


def test_affine_by_hand():
    params = AffineParams(
        jnp.array([0.0, BOUND * np.arctanh(np.log(2.0) / BOUND), -1000.0]), jnp.array([1.0, -3.0, 0.0])
    )
    y, log_det = affine(params, jnp.array([4.0, 5.0, 2.0]))
    np.testing.assert_allclose(y, [5.0, 7.0, 2.0 * np.exp(-BOUND)], rtol=1e-6)
    np.testing.assert_allclose(log_det, np.log(2.0) - BOUND, rtol=1e-6)
    z, log_det_there = affine_inverse(params, y)
    np.testing.assert_allclose(z, [4.0, 5.0, 2.0], rtol=1e-6)
    np.testing.assert_array_equal(log_det_there, log_det)


@pytest.mark.parametrize("dim", [1, 2, 7])
def test_linear_is_a_matrix_of_the_determinant_it_gives(dim):
    lu = 0.7 * jax.random.normal(jax.random.key(dim), (dim, dim))
    columns, log_dets = jax.vmap(functools.partial(linear, lu))(jnp.eye(dim))
    matrix = np.asarray(columns, np.float64).T
    np.testing.assert_allclose(log_dets, np.full(dim, np.linalg.slogdet(matrix)[1]), rtol=1e-5, atol=1e-5)
    back, log_det = linear_inverse(lu, columns[0])
    np.testing.assert_allclose(back, np.eye(dim)[0], atol=1e-5)
    np.testing.assert_array_equal(log_det, log_dets[0])


def test_linear_by_hand():
    # L = [[1, 0], [3, 1]] and U = [[1, 2], [0, 1]]: L U z = L [9, 4] = [9, 31], in the other order.
    y, log_det = linear(jnp.array([[0.0, 2.0], [3.0, 0.0]]), jnp.array([1.0, 4.0]))
    np.testing.assert_allclose(y, [31.0, 9.0], rtol=1e-6)
    assert log_det == 0.0
    np.testing.assert_array_equal(linear(jnp.zeros((3, 3)), jnp.array([1.0, 2.0, 3.0]))[0], [3.0, 2.0, 1.0])


@pytest.mark.parametrize("mixing", ["reverse", "linear"])
@pytest.mark.parametrize("dim", [1, 5])
def test_a_new_flow_is_actnorm_and_reversal_alone(mixing, dim):
    flow, z = CouplingFlow(dim, 3, mixing=mixing), batch(dim)
    (y, log_det), _ = init(flow, z)
    mean, std = np.mean(z, axis=(0, 1)), np.std(z, axis=(0, 1))
    np.testing.assert_allclose(y, ((z - mean[None, None]) / std[None, None])[..., ::-1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(log_det, np.full(log_det.shape, -np.sum(np.log(std))), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [0.01, 4.0, 100.0])
def test_every_actnorm_starts_from_what_the_layer_before_gives(scale):
    # At the outer scales the first one reaches its bound: the second has to see that, and the third has nothing to do.
    flow, z = CouplingFlow(3, 3), batch(3, scale=scale)
    (y, _), params = init(flow, z)
    layers = params["params"]["layers"]
    log_scales, shifts = bounded(layers["actnorm"]["log_scale"]), layers["actnorm"]["shift"]
    h = np.asarray(z, np.float64)
    for k in range(3):
        expected = np.clip(-np.log(np.std(h, axis=(0, 1))), -0.999 * BOUND, 0.999 * BOUND)
        np.testing.assert_allclose(log_scales[k], expected, rtol=1e-4, atol=1e-4)
        h = h * np.exp(log_scales[k]) + np.asarray(shifts[k], np.float64)
        np.testing.assert_allclose(np.mean(h, axis=(0, 1)), np.zeros(3), atol=2e-4 * max(1.0, np.std(h)))
        h = h[..., ::-1]
    assert np.any(np.abs(log_scales[1]) > 0.5) == (scale != 4.0)
    np.testing.assert_allclose(np.mean(y, axis=(0, 1)), np.zeros(3), atol=1e-4)
    np.testing.assert_allclose(np.std(y, axis=(0, 1)), np.ones(3), rtol=1e-4)


def test_a_flow_that_is_initialised_backwards_normalises_backwards():
    flow, y = CouplingFlow(3, 3), batch(3)
    (z, log_det), params = init(flow, y, method="inverse")
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, init(flow, y)[1])
    np.testing.assert_allclose(np.mean(z, axis=(0, 1)), np.zeros(3), atol=1e-4)
    np.testing.assert_allclose(np.std(z, axis=(0, 1)), np.ones(3), rtol=1e-4)
    np.testing.assert_allclose(log_det, np.full(log_det.shape, np.sum(np.log(np.std(y, axis=(0, 1))))), rtol=1e-4)


@pytest.mark.parametrize("method", ["__call__", "inverse"])
@pytest.mark.parametrize(("shape", "value"), [((3, 50, 2), 0.0), ((3, 50, 2), 1000.3), ((1, 1, 2), 0.1)])
def test_a_batch_without_spread_is_moved_but_not_scaled(method, shape, value):
    (y, log_det), params = init(CouplingFlow(2, 2), jnp.full(shape, value), method)
    np.testing.assert_array_equal(params["params"]["layers"]["actnorm"]["log_scale"], np.zeros((2, 2)))
    np.testing.assert_allclose(y, np.zeros(shape), atol=1e-6 * value)
    np.testing.assert_array_equal(log_det, np.zeros(shape[:2]))


def test_layers_start_with_different_conditioners():
    kernel = init(CouplingFlow(4, 3), batch(4))[1]["params"]["layers"]["conditioner"]["first"]["kernel"]
    assert kernel.shape == (3, 2, 64)
    assert np.abs(kernel[0] - kernel[1]).max() > 0.1


def test_mistakes_are_named():
    z = batch(3)
    with pytest.raises(ValueError, match=r"CouplingFlow has mixing 'random', expected one of \('reverse', 'linear'\)"):
        CouplingFlow(3, 2, mixing="random").init(jax.random.key(0), z)
    with pytest.raises(ValueError, match="CouplingFlow has no hidden layer, expected at least one width"):
        CouplingFlow(3, 2, hidden=()).init(jax.random.key(0), z)
    with pytest.raises(ValueError, match=r"shift of an affine map has shape \[3\], expected \[2\]"):
        affine(AffineParams(jnp.zeros(2), jnp.zeros(3)), jnp.zeros(2))
    with pytest.raises(ValueError, match=r"lu of a linear map has shape \[2, 3\], expected \[3, 3\]"):
        linear(jnp.zeros((2, 3)), jnp.zeros(3))
