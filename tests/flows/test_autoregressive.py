"""Autoregressive flows against slow loops in float64: which dimension goes first, and what a layer does to it."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.flows.autoregressive import AutoregressiveFlow, autoregressive, autoregressive_inverse
from jaxvae.flows.inverted import Inverted

DIM, NUM_FEATURES = 4, 3
HIDDEN = (7, 6)


def slow_layer(net, z):
    """One dimension after the other; `net(z, i)` gives m_i and s_i."""
    y, log_det = np.zeros(len(z)), 0.0
    for i in range(len(z)):
        shift, s = net(z, i)
        log_sigma = 3.0 * np.tanh(s / 3.0)
        y[i] = shift + np.exp(log_sigma) * z[i]
        log_det += log_sigma
    return y, log_det


def slow_net(params, context):
    """The masked net for one dimension: inputs that it may not see are left out, and nothing else is masked."""

    def evaluate(z, i):
        dim = len(z)
        h, degrees = z[:i], np.arange(1, i + 1)
        for name in ("dense_0", "dense_1", "readout"):
            layer = jax.tree.map(lambda a: np.asarray(a, np.float64), params[name])
            num = len(layer["bias"])
            targets = np.arange(num) // 2 if name == "readout" else np.round(np.linspace(0, dim - 1, num))
            out = layer["bias"].copy()
            for unit in range(num):
                out[unit] += sum(
                    h[j] * layer["kernel"][j, unit] for j in range(len(degrees)) if degrees[j] <= targets[unit]
                )
            if context is not None:
                out += context @ layer["context_kernel"]
            h, degrees = (out if name == "readout" else np.tanh(out)), targets
        return h.reshape(dim, 2)[i]

    return evaluate


@functools.cache
def made(num_flows, amortized=False, dim=DIM, scale=1.0):
    flow = AutoregressiveFlow(dim, num_flows, HIDDEN, amortized)
    z, context = jnp.zeros((1, 1, dim)), jnp.zeros((1, NUM_FEATURES))
    shapes = jax.eval_shape(flow.init, jax.random.key(0), z, context)
    generator = np.random.default_rng(1)
    draw = lambda a: np.float32(scale / a.shape[-1] ** 0.5) * generator.standard_normal(a.shape, np.float32)  # noqa: E731
    return flow, jax.tree.map(draw, shapes)


def latents(dim=DIM):
    return jax.random.normal(jax.random.key(3), (2, 3, dim))


def triangular(lower):
    """A net that is linear in the inputs before: `lower` [2, D, D]."""
    mask = np.tril(np.ones(lower.shape[1:]), -1)
    return lambda z: jnp.stack([jnp.asarray(mask * part, jnp.float32) @ z for part in lower], axis=-1)


@pytest.mark.parametrize("seed", range(3))
def test_layer_equals_the_loop(seed):
    generator = np.random.default_rng(seed)
    lower, z = 2.0 * generator.standard_normal((2, DIM, DIM)), generator.standard_normal(DIM)
    y, log_det = autoregressive(triangular(lower), jnp.asarray(z, jnp.float32))
    expected_y, expected = slow_layer(lambda z, i: (lower[0, i, :i] @ z[:i], lower[1, i, :i] @ z[:i]), z)
    np.testing.assert_allclose(y, expected_y, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(log_det, expected, rtol=1e-4, atol=1e-5)
    back, there = autoregressive_inverse(triangular(lower), y)
    np.testing.assert_allclose(back, z, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(there, expected, rtol=1e-3, atol=1e-4)


def test_layer_by_hand():
    # z_1 is shifted by 2 z_0 = 1 and scaled by exp(3 tanh(z_0 / 3)), z_0 stays.
    y, log_det = autoregressive(lambda z: jnp.array([[0.0, 0.0], [2.0, 1.0]]) * z[0], jnp.array([0.5, -1.0]))
    np.testing.assert_allclose(log_det, 0.4954216, rtol=1e-6)
    np.testing.assert_allclose(y, [0.5, 1.0 - np.exp(0.4954216)], rtol=1e-5)


@pytest.mark.parametrize("amortized", [False, True])
@pytest.mark.parametrize("num_flows", [1, 3])
def test_flow_equals_the_loop_over_layers_and_dimensions(num_flows, amortized):
    flow, variables = made(num_flows, amortized)
    z, context = latents(), np.random.default_rng(2).standard_normal((3, NUM_FEATURES))
    y, log_det = jax.jit(flow.apply)(variables, z, jnp.asarray(context, jnp.float32))
    for s, b in ((0, 0), (1, 2)):
        expected_y, expected = np.asarray(z[s, b], np.float64), 0.0
        for k in range(num_flows):
            params = jax.tree.map(lambda a: a[k], variables["params"]["layers"])  # noqa: B023
            order = np.arange(DIM) if k % 2 == 0 else np.arange(DIM)[::-1]
            moved, part = slow_layer(slow_net(params, context[b] if amortized else None), expected_y[order])
            expected_y, expected = moved[order], expected + part
        np.testing.assert_allclose(y[s, b], expected_y, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(log_det[s, b], expected, rtol=1e-4, atol=1e-5)


def test_every_second_layer_goes_from_the_last_dimension_to_the_first():
    def jacobian(num_flows, keep):
        flow, variables = made(num_flows)
        # The layers that are not kept are the identity: their readouts are zero.
        on = np.isin(np.arange(num_flows), keep).astype(np.float32)
        layers = variables["params"]["layers"]
        readout = jax.tree.map(lambda a: a * on.reshape(-1, *(1,) * (a.ndim - 1)), layers["readout"])
        variables = {"params": {"layers": layers | {"readout": readout}}}
        return np.asarray(
            jax.jacrev(lambda z: flow.apply(variables, z[None, None])[0][0, 0])(jnp.linspace(-1.0, 1.0, DIM))
        )

    above, below = np.triu(np.ones((DIM, DIM), bool), 1), np.tril(np.ones((DIM, DIM), bool), -1)
    for k in range(4):
        one, zero = (below, above) if k % 2 == 0 else (above, below)
        assert np.all(jacobian(4, [k])[zero] == 0.0)
        assert np.all(jacobian(4, [k])[one] != 0.0)
    assert np.all(jacobian(4, [0, 1]) != 0.0)


@pytest.mark.parametrize("num_flows", [1, 2, 3])
@pytest.mark.parametrize("wrap", [lambda flow: flow, Inverted])
def test_flows_start_as_the_identity_and_learn(num_flows, wrap):
    flow, z, context = wrap(AutoregressiveFlow(DIM, num_flows, HIDDEN, True)), latents(), jnp.ones((3, NUM_FEATURES))
    variables = jax.jit(flow.init)(jax.random.key(0), z, context)
    y, log_det = flow.apply(variables, z, context)
    np.testing.assert_array_equal(y, z)
    np.testing.assert_array_equal(log_det, np.zeros((2, 3)))
    loss = lambda v: sum(jnp.sum(jnp.sin(out)) for out in flow.apply(v, z, context))  # noqa: E731
    layers = jax.grad(loss)(variables)["params"]
    layers = layers["flow"]["layers"] if wrap is Inverted else layers["layers"]
    assert np.all(layers["readout"]["bias"] != 0.0)


def test_layers_start_with_kernels_of_their_own():
    flow = AutoregressiveFlow(DIM, 2, HIDDEN)
    kernel = jax.jit(flow.init)(jax.random.key(0), latents())["params"]["layers"]["dense_0"]["kernel"]
    assert kernel.shape == (2, DIM, HIDDEN[0])
    assert np.all(kernel[0] != kernel[1])


@pytest.mark.parametrize("method", ["__call__", "inverse"])
@pytest.mark.parametrize("scale", [3.0, 30.0])
def test_many_dimensions_stay_finite(method, scale):
    """The inverse feeds each dimension into the next ones: it is where an error would build up."""
    flow, variables = made(3, dim=32, scale=scale)
    z = 100.0 * latents(32)

    def total(variables, z):
        y, log_det = flow.apply(variables, z, method=method)
        return jnp.sum(jnp.tanh(y)) + jnp.sum(jnp.tanh(log_det)), (y, log_det)

    results = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))(variables, z)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(results))


def test_gradient_of_the_inverse_is_the_inverse_of_the_jacobian():
    flow, variables = made(2)
    z = latents()[0, 0]
    forward = lambda z: flow.apply(variables, z[None, None])[0][0, 0]  # noqa: E731
    inverse = lambda y: flow.apply(variables, y[None, None], method="inverse")[0][0, 0]  # noqa: E731
    product = jax.jit(jax.jacrev(inverse))(forward(z)) @ jax.jit(jax.jacrev(forward))(z)
    np.testing.assert_allclose(product, np.eye(DIM), atol=1e-4)


def test_inverted_is_the_inverse_with_the_log_det_of_its_own_map():
    flow, variables = made(3)
    maf, nested, z = Inverted(flow), {"params": {"flow": variables["params"]}}, latents()
    y, log_det = maf.apply(nested, z)
    expected_y, of_flow = flow.apply(variables, z, method="inverse")
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_array_equal(log_det, -of_flow)
    back, there = maf.apply(nested, y, method="inverse")
    expected_back, of_flow = flow.apply(variables, y)
    np.testing.assert_array_equal(back, expected_back)
    np.testing.assert_array_equal(there, -of_flow)
    np.testing.assert_allclose(there, log_det, rtol=1e-4, atol=1e-4)


def test_inverted_by_hand():
    class Double(nn.Module):
        latent_dim: int
        num_flows: int = 1

        def __call__(self, z, context=None):
            return 2.0 * z, jnp.full(z.shape[:2], self.latent_dim * np.log(2.0))

        def inverse(self, y, context=None):
            return 0.5 * y, jnp.full(y.shape[:2], self.latent_dim * np.log(2.0))

    half, z = Inverted(Double(3)), jnp.ones((1, 2, 3))
    for method, value in (("__call__", 0.5), ("inverse", 2.0)):
        y, log_det = half.apply({}, z, method=method)
        np.testing.assert_array_equal(y, np.full(z.shape, value))
        np.testing.assert_allclose(log_det, np.full((1, 2), -3.0 * np.log(2.0)), rtol=1e-6)
    assert (half.latent_dim, half.num_flows) == (3, 1)


@pytest.mark.parametrize(
    ("wrap", "quick", "slow"), [(lambda flow: flow, "__call__", "inverse"), (Inverted, "inverse", "__call__")]
)
def test_one_direction_is_a_single_pass_a_layer(wrap, quick, slow):
    flow, z = wrap(made(3)[0]), latents()
    variables = jax.eval_shape(flow.init, jax.random.key(0), z)

    def num_loops(method):
        return (
            jax.jit(functools.partial(flow.apply, method=method)).lower(variables, z).as_text().count("stablehlo.while")
        )

    assert num_loops(quick) == 1  # over the layers
    assert num_loops(slow) == 2  # and over the dimensions


def test_both_directions_in_one_module():
    class Both(nn.Module):
        flow: nn.Module

        def __call__(self, z):
            y, log_det = self.flow(z)
            back, there = self.flow.inverse(y)
            return back, log_det - there

    flow, variables = made(2)
    for module, nested in (
        (Both(flow), {"flow": variables["params"]}),
        (Both(Inverted(flow)), {"flow": {"flow": variables["params"]}}),
    ):
        back, difference = module.apply({"params": nested}, latents())
        np.testing.assert_allclose(back, latents(), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(difference, np.zeros((2, 3)), atol=1e-3)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"z of an autoregressive flow has shape \[2, 3\], expected \[any\]"):
        autoregressive(lambda z: jnp.zeros((3, 2)), jnp.zeros((2, 3)))
    for function in (autoregressive, autoregressive_inverse):
        with pytest.raises(
            ValueError, match=r"net\(z\) of an autoregressive flow has shape \[3, 1\], expected \[3, 2\]"
        ):
            function(lambda z: jnp.zeros((3, 1)), jnp.zeros(3))
