"""Masked nets: what depends on what is exact, so gradients that should be zero are zeros."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxvae.nets.masked import MaskedConv, MaskedMLP, autoregressive_mask, causal_mask, hidden_degrees

DIM, NUM_OUTPUTS, NUM_FEATURES = 5, 2, 3
HIDDEN = [(), (1,), (3,), (8,), (12, 7, 9)]  # narrower than the input too


@functools.cache
def random_net(hidden, with_context=False, dim=DIM):
    net = MaskedMLP(NUM_OUTPUTS, hidden, nn.tanh)
    context = jnp.zeros(NUM_FEATURES) if with_context else None
    shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros(dim), context)
    generator = np.random.default_rng(0)
    return net, jax.tree.map(lambda a: generator.standard_normal(a.shape, np.float32), shapes)


def slow(params, h, context=None):
    """One unit after the other in float64, by the paper's rule."""
    num_hidden, degrees = len(params) - 1, range(1, len(h) + 1)
    dim, h = len(h), np.asarray(h, np.float64)
    for i in range(num_hidden + 1):
        layer = params["readout" if i == num_hidden else f"dense_{i}"]
        num = len(layer["bias"])
        if i == num_hidden:
            targets = [unit // (num // dim) for unit in range(num)]
        else:
            targets = [round(unit * (dim - 1) / (num - 1)) for unit in range(num)]
        out = np.array(layer["bias"], np.float64)
        for unit in range(num):
            for source, degree in enumerate(degrees):
                if degree <= targets[unit]:
                    out[unit] += h[source] * layer["kernel"][source, unit]
            if context is not None:
                out[unit] += np.asarray(context, np.float64) @ layer["context_kernel"][:, unit]
        h, degrees = (out if i == num_hidden else np.tanh(out)), targets
    return h.reshape(dim, -1)


def test_masks_by_hand():
    degrees = hidden_degrees(3, 4)
    np.testing.assert_array_equal(degrees, [0, 1, 1, 2])
    np.testing.assert_array_equal(
        autoregressive_mask([1, 2, 3], degrees),  # inputs 0, 1, 2
        [[False, True, True, True], [False, False, False, True], [False, False, False, False]],
    )
    np.testing.assert_array_equal(
        autoregressive_mask(degrees, [0, 0, 1, 1, 2, 2]),  # two outputs for each input
        [
            [True, True, True, True, True, True],
            [False, False, True, True, True, True],
            [False, False, True, True, True, True],
            [False, False, False, False, True, True],
        ],
    )


def test_degrees_are_spread_evenly_from_the_first_to_the_last():
    np.testing.assert_array_equal(hidden_degrees(1, 3), [0, 0, 0])
    np.testing.assert_array_equal(hidden_degrees(2, 4), [0, 0, 1, 1])
    np.testing.assert_array_equal(hidden_degrees(9, 3), [0, 4, 8])
    counts = np.bincount(hidden_degrees(6, 60))
    assert counts[1:-1].tolist() == [12, 12, 12, 12]
    assert counts[[0, -1]].tolist() == [6, 6]


@pytest.mark.parametrize("with_context", [False, True])
@pytest.mark.parametrize("hidden", [(), (8,), (12, 7, 9)])
def test_masked_mlp_equals_a_loop_over_connections(hidden, with_context):
    net, variables = random_net(hidden, with_context)
    h = np.linspace(-1.0, 2.0, DIM).astype(np.float32)
    context = np.array([0.3, -1.0, 2.0], np.float32) if with_context else None
    y = net.apply(variables, h, context)
    assert y.shape == (DIM, NUM_OUTPUTS)
    np.testing.assert_allclose(y, slow(variables["params"], h, context), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_outputs_depend_on_the_inputs_before_them_alone(hidden):
    net, variables = random_net(hidden)
    jacobian = jax.jacrev(lambda h: net.apply(variables, h))(jnp.linspace(-1.0, 1.0, DIM))  # [D, P, D]
    outputs, inputs = np.arange(DIM)[:, None, None], np.arange(DIM)[None, None, :]
    later = np.broadcast_to(inputs >= outputs, jacobian.shape)
    assert np.all(np.asarray(jacobian)[later] == 0.0)  # those for the first input among them
    if not hidden or min(hidden) >= DIM:
        assert np.all(np.asarray(jacobian)[~later] != 0.0)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_context_reaches_all_outputs(hidden):
    net, variables = random_net(hidden, with_context=True)
    h = jnp.linspace(-1.0, 1.0, DIM)
    jacobian = jax.jacrev(lambda context: net.apply(variables, h, context))(jnp.ones(NUM_FEATURES))
    assert np.all(np.asarray(jacobian) != 0.0)


def test_outputs_for_the_first_input_are_not_linear_in_the_context():
    net, variables = random_net((8,), with_context=True)
    first = lambda context: net.apply(variables, jnp.zeros(DIM), context)[0, 0]  # noqa: E731
    assert np.max(np.abs(jax.hessian(first)(jnp.ones(NUM_FEATURES)))) > 1e-2


def test_one_input_has_constant_outputs():
    net, variables = random_net((4,), dim=1)
    y = net.apply(variables, jnp.array([[-1.0], [5.0]]))
    assert y.shape == (2, 1, NUM_OUTPUTS)
    np.testing.assert_array_equal(y[0], y[1])


def test_leading_axes_are_a_batch():
    net, variables = random_net((8,), with_context=True)
    h = jax.random.normal(jax.random.key(1), (3, 4, DIM))
    context = jax.random.normal(jax.random.key(2), (3, 4, NUM_FEATURES))
    y = net.apply(variables, h, context)
    assert y.shape == (3, 4, DIM, NUM_OUTPUTS)
    np.testing.assert_allclose(y[1, 2], net.apply(variables, h[1, 2], context[1, 2]), rtol=1e-5, atol=1e-6)


def test_outputs_start_at_zero_and_learn():
    net = MaskedMLP(NUM_OUTPUTS, (8,))
    h, context = jnp.linspace(-1.0, 1.0, DIM), jnp.ones(NUM_FEATURES)
    variables = jax.jit(net.init)(jax.random.key(0), h, context)
    np.testing.assert_array_equal(net.apply(variables, h, context), np.zeros((DIM, NUM_OUTPUTS)))
    gradient = jax.grad(lambda v: jnp.sum(net.apply(v, h, context)))(variables)["params"]["readout"]
    assert all(np.any(leaf != 0.0) for leaf in jax.tree.leaves(gradient))


def test_units_of_all_degrees_keep_the_scale():
    """Second moments as in He et al., though a unit of degree d sums d of the 50 inputs."""
    dim, width = 50, 2000
    net = MaskedMLP(1, (width,))
    h = np.random.default_rng(0).standard_normal((256, dim), np.float32)
    kernel = jax.jit(net.init)(jax.random.key(0), h)["params"]["dense_0"]["kernel"]
    degrees = hidden_degrees(dim, width)
    moments = np.square(h @ np.where(autoregressive_mask(np.arange(dim) + 1, degrees), kernel, 0.0)).mean(axis=0) / 2.0
    for low, high in ((1, 5), (20, 30), (45, 49)):
        assert np.mean(moments[(degrees >= low) & (degrees <= high)]) == pytest.approx(1.0, abs=0.25)


def test_dtype_is_of_the_computation():
    net, variables = random_net((8,), with_context=True)
    h, context = jnp.linspace(-1.0, 1.0, DIM), jnp.ones(NUM_FEATURES)
    half = MaskedMLP(NUM_OUTPUTS, (8,), nn.tanh, dtype=jnp.bfloat16)
    shapes = jax.eval_shape(half.init, jax.random.key(0), h, context)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype(jnp.float32)}
    y = half.apply(variables, h, context)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(y.astype(jnp.float32), net.apply(variables, h, context), atol=0.1)
    products = jax.jit(half.apply).lower(variables, h, context).as_text().split("stablehlo.dot_general")[1:]
    assert len(products) == 4  # two layers, each with a context
    assert all("xf32>" not in line.splitlines()[0] for line in products)


def test_a_context_of_other_examples_is_an_error():
    net, variables = random_net((8,), with_context=True)
    with pytest.raises(ValueError, match=r"context of a masked net has shape \[2, 3\], expected \[4, any\]"):
        net.apply(variables, jnp.zeros((4, DIM)), jnp.zeros((2, NUM_FEATURES)))


def test_a_masked_convolution_is_the_convolution_of_what_its_mask_leaves(random_like, random_params):
    x = random_like(jnp.zeros((2, 5, 6, 3)))
    plain = nn.Conv(4, (3, 5))
    for centre in (False, True):
        mask = causal_mask((3, 5), centre=centre)
        masked = MaskedConv(4, mask)
        variables = random_params(masked, x)
        kernel = variables["params"]["kernel"] * mask[:, :, None, None]
        expected = plain.apply({"params": {**variables["params"], "kernel": kernel}}, x)
        np.testing.assert_allclose(masked.apply(variables, x), expected, rtol=1e-4, atol=1e-5)


def test_causal_masks_are_those_of_the_paper():
    np.testing.assert_array_equal(causal_mask((3, 3), centre=False), [[1, 1, 1], [1, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(causal_mask((3, 3), centre=True), [[1, 1, 1], [1, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((3, 3)), "leaves the pixel 0 rows below and 1 columns to the right of its centre"),
        (np.eye(3), "leaves the pixel 1 rows below and 1 columns to the right"),
        (np.ones((2, 3)), r"has shape \[2, 3\], expected two odd lengths"),
    ],
)
def test_masks_that_see_the_future_are_named(mask, message):
    with pytest.raises(ValueError, match=message):
        MaskedConv(2, mask).init(jax.random.key(0), jnp.zeros((1, 4, 4, 1)))
