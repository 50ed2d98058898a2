import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.nets import Conv, ConvTranspose, fan_in_normal, interpolating

# image, cin, kernel, strides: odd sizes, kernels smaller than, equal to and larger than the stride, unequal sides
GEOMETRIES = [
    ((28, 28), 1, (4, 4), (2, 2)),
    ((105, 105), 1, (5, 5), (2, 2)),
    ((20, 28), 16, (3, 3), (1, 1)),
    ((7, 7), 3, (3, 3), (2, 2)),
    ((7, 7), 16, (4, 4), (1, 1)),
    ((7, 6), 3, (1, 1), (1, 1)),
    ((7, 6), 3, (1, 1), (2, 2)),
    ((8, 9), 2, (2, 3), (3, 1)),
    ((2, 3), 2, (7, 5), (1, 1)),  # most of whose windows lie outside
]
PAIRS = [(Conv, nn.Conv), (ConvTranspose, nn.ConvTranspose)]


@pytest.mark.parametrize(("ours", "flax"), PAIRS)
@pytest.mark.parametrize(("image", "cin", "kernel", "strides"), GEOMETRIES)
def test_gemm_equals_flax(ours, flax, image, cin, kernel, strides, random_like, random_params):
    """Outputs, gradients of the parameters and gradients of the image."""
    x = random_like(jax.ShapeDtypeStruct((2, *image, cin), jnp.float32))

    def output_and_gradients(module):
        def run(variables, x, weights):
            y, pullback = jax.vjp(module.apply, variables, x)
            return y, pullback(weights)

        return jax.jit(run)(variables, x, weights)

    reference = flax(4, kernel, strides, padding="SAME")
    variables = random_params(reference, x)
    weights = random_like(jax.eval_shape(reference.apply, variables, x))
    got, want = output_and_gradients(ours(4, kernel, strides, implementation="gemm")), output_and_gradients(reference)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.max(np.abs(b))), got, want)


@pytest.mark.parametrize("module", [Conv, ConvTranspose])
@pytest.mark.parametrize("kernel", [(3, 3), (5, 3), (7, 3)])
def test_rows_outside_the_image_are_not_multiplied(module, kernel):
    conv = module(4, kernel, implementation="gemm")
    x = jnp.zeros((2, 7, 6, 3))
    variables = jax.eval_shape(conv.init, jax.random.key(0), x)

    def products(f, *arguments):
        equations = jax.make_jaxpr(f)(*arguments).eqns
        return [eqn.invars[0].aval.shape for eqn in equations if eqn.primitive.name == "dot_general"]

    ((rows, _),) = products(conv.apply, variables, x)
    assert rows == 2 * 7 * 6


@pytest.mark.parametrize(("ours", "flax"), PAIRS)
@pytest.mark.parametrize(("image", "cin", "kernel", "strides"), GEOMETRIES)
def test_lax_is_the_convolution_of_flax(ours, flax, image, cin, kernel, strides):
    """The same operation with the same arguments, so nothing need be computed."""
    x = jnp.zeros((2, *image, cin))

    def convolutions(module):
        variables = jax.eval_shape(module.init, jax.random.key(0), x)
        equations = jax.make_jaxpr(module.apply)(variables, x).eqns
        return [eqn.params for eqn in equations if eqn.primitive.name == "conv_general_dilated"]

    (want,) = convolutions(flax(4, kernel, strides, padding="SAME"))
    (got,) = convolutions(ours(4, kernel, strides, implementation="lax"))
    assert got == want


@pytest.mark.parametrize("module", [Conv, ConvTranspose])
def test_parameters_have_the_shapes_of_flax(module):
    x = jnp.zeros((1, 7, 7, 3))
    flax = {Conv: nn.Conv, ConvTranspose: nn.ConvTranspose}[module](5, (4, 3), (2, 2))
    ours = module(5, (4, 3), (2, 2))
    shapes = jax.eval_shape(flax.init, jax.random.key(0), x)
    assert jax.eval_shape(ours.init, jax.random.key(0), x) == shapes
    assert "bias" not in jax.eval_shape(module(5, use_bias=False).init, jax.random.key(0), x)["params"]


def test_sizes_of_stride_two():
    """4x4 kernels of stride 2 give the sizes of PyTorch's Conv2d(k=4, s=2, p=1) and its transpose."""
    for size, halved in ((28, 14), (14, 7), (105, 53)):
        x = jnp.zeros((1, size, size, 1))
        for module, want in ((Conv, halved), (ConvTranspose, 2 * size)):
            y, _ = jax.eval_shape(module(1, (4, 4), (2, 2)).init_with_output, jax.random.key(0), x)
            assert y.shape == (1, want, want, 1)


def test_conv_equals_loop(random_like):
    """The formula itself, of one pixel: y[i, j] = sum_ab x[2 i + a - 1, 2 j + b - 1] K[a, b]."""
    x, kernel = random_like((jnp.zeros((6, 6, 2)), jnp.zeros((4, 4, 2, 3))))
    conv = Conv(3, (4, 4), (2, 2), use_bias=False, implementation="gemm")
    y = jax.jit(conv.apply)({"params": {"kernel": kernel}}, x)
    padded = np.pad(np.asarray(x), ((1, 1), (1, 1), (0, 0)))
    want = [
        [np.einsum("abc,abcf->f", padded[2 * i : 2 * i + 4, 2 * j : 2 * j + 4], kernel) for j in range(3)]
        for i in range(3)
    ]
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("implementation", ["gemm", "lax"])
@pytest.mark.parametrize("module", [Conv, ConvTranspose])
def test_leading_axes_equal_flattened_ones(module, implementation, random_like, random_params):
    conv = module(4, (4, 4), (2, 2), implementation=implementation)
    x = random_like(jnp.zeros((3, 2, 6, 7, 2)))
    variables = random_params(conv, x)
    inputs = (x, x.reshape(6, 6, 7, 2), x[1, 0])
    y, flat, single = jax.jit(lambda inputs: [conv.apply(variables, x) for x in inputs])(inputs)
    np.testing.assert_allclose(y, flat.reshape(y.shape), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y[1, 0], single, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("implementation", ["gemm", "lax"])
@pytest.mark.parametrize("module", [Conv, ConvTranspose])
def test_bfloat16_rounds_once(module, implementation, random_like, random_params):
    """An output is the sum of exact products, rounded to 8 bits: half a unit in the last place is 2^-8 at most."""
    x = random_like(jnp.zeros((2, 9, 8, 16)))
    conv = module(8, (5, 4), (2, 1), use_bias=False, implementation=implementation, dtype=jnp.bfloat16)
    variables = random_params(conv, x)
    to_half = lambda tree: jax.tree.map(lambda a: jnp.asarray(a, jnp.bfloat16).astype(jnp.float32), tree)  # noqa: E731
    exact = conv.clone(dtype=None)
    y, want = jax.jit(lambda v, x: (conv.apply(v, x), exact.apply(v, x)))(to_half(variables), to_half(x))
    np.testing.assert_allclose(y.astype(jnp.float32), want, rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize(("module", "kernel", "strides"), [(Conv, 4, 2), (Conv, 3, 1), (ConvTranspose, 4, 2)])
def test_initial_kernels_keep_the_variance(module, kernel, strides, random_like):
    """True fan-in: away from the borders, unit variance in, unit variance out."""
    x = random_like(jnp.zeros((8, 16, 16, 32)))
    conv = module(64, (kernel, kernel), (strides, strides))
    y = jax.jit(conv.apply)(jax.jit(conv.init)(jax.random.key(1), x), x)
    assert np.var(y[:, 2:-2, 2:-2]) == pytest.approx(1.0, abs=0.1)


def test_fan_in_normal_scales_the_variance():
    assert np.var(fan_in_normal(2.0)(jax.random.key(0), (5, 5, 16, 64))) == pytest.approx(2 / 400, rel=0.05)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_transposed_convolutions_begin_as_interpolation(size):
    """No checkerboard: with one channel, an enlarged image is that of linear interpolation, times a weight."""
    x = jax.random.normal(jax.random.key(0), (1, 8, 8, 1))
    conv = ConvTranspose(1, (size, size), (2, 2), kernel_init=interpolating())
    y = conv.apply(variables := conv.init(jax.random.key(1), x), x)[0, :, :, 0]
    if size == 2:
        expected = np.kron(x[0, :, :, 0], np.ones((2, 2)))
    elif size == 4:
        expected = jax.image.resize(x, (1, 16, 16, 1), "linear")[0, :, :, 0]
    else:  # odd rows and columns are the inputs themselves, the others means of two, or of four
        rows = np.zeros((16, 8))
        rows[1::2], rows[2::2] = x[0, :, :, 0], (x[0, :-1, :, 0] + x[0, 1:, :, 0]) / 2
        expected = np.zeros((16, 16))
        expected[:, 1::2], expected[:, 2::2] = rows, (rows[:, :-1] + rows[:, 1:]) / 2
    y, expected = y[2:-3, 2:-3], expected[2:-3, 2:-3]
    weight = float(np.sum(y * expected) / np.sum(expected**2))
    assert abs(weight) > 0.01
    np.testing.assert_allclose(y, weight * expected, atol=1e-5)
    assert variables["params"]["kernel"].shape == (size, size, 1, 1)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_interpolating_kernels_scale_the_variance(size, random_like):
    x = random_like(jnp.zeros((8, 16, 16, 32)))
    conv = ConvTranspose(64, (size, size), (2, 2), kernel_init=interpolating(2.0))
    y = jax.jit(conv.apply)(jax.jit(conv.init)(jax.random.key(1), x), x)
    assert np.var(y[:, 4:-4, 4:-4]) == pytest.approx(2.0, rel=0.15)


def test_backend_chooses_the_implementation(monkeypatch):
    def has_convolution():
        x = jnp.zeros((1, 4, 4, 1))
        return "conv_general_dilated" in str(jax.make_jaxpr(lambda x: Conv(1).init(jax.random.key(0), x))(x))

    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert not has_convolution()
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert has_convolution()


@pytest.mark.parametrize("implementation", ["gemm", "lax"])
def test_lowers_for_other_platforms(implementation):
    conv = Conv(2, (4, 4), (2, 2), implementation=implementation)
    x = jnp.zeros((2, 8, 8, 1))
    variables = jax.eval_shape(conv.init, jax.random.key(0), x)
    jax.jit(conv.apply).trace(variables, x).lower(lowering_platforms=("cuda", "tpu"))


def test_unknown_implementation_is_an_error():
    with pytest.raises(ValueError, match='implementation is \'fft\', expected "lax", "gemm" or None'):
        jax.eval_shape(Conv(1, implementation="fft").init, jax.random.key(0), jnp.zeros((4, 4, 1)))
