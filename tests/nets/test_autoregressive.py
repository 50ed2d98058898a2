"""What all autoregressive nets have in common: a new one is a line in `NETS`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.nets import PixelCNN, PixelRNN, Transformer

SIZE, NUM, INPUTS = (4, 5), 3, 2
NETS = {
    "pixelcnn": lambda **options: PixelCNN(INPUTS, 8, num_layers=4, first_reach=2, **options),
    "pixelcnn, one layer": lambda **options: PixelCNN(INPUTS, 8, num_layers=1, first_reach=3, **options),
    "pixelrnn": lambda **options: PixelRNN(INPUTS, 6, num_layers=2, first_reach=2, **options),
    "transformer": lambda **options: Transformer(INPUTS, SIZE, 8, num_layers=2, num_heads=2, **options),
}
CONTEXTS = {"none": None, "vector": (NUM, 3), "map": (NUM, *SIZE, 3)}
LIMITED = {"pixelcnn, one layer"}  # which do not see all of the image


@functools.cache
def made(name, context="none"):
    """A net, parameters by numpy, whose draws need no compilation, inputs and a context."""
    net, generator = NETS[name](), np.random.default_rng(0)
    draw = lambda shape: jnp.asarray(generator.standard_normal(shape, np.float32))  # noqa: E731
    h, shape = draw((NUM, *SIZE, INPUTS)), CONTEXTS[context]
    context = None if shape is None else draw(shape)
    shapes = jax.eval_shape(net.init, jax.random.key(0), h, context)
    # Larger than initial ones: what is far away must be seen above rounding.
    params = jax.tree.map(lambda leaf: draw(leaf.shape) * (2.0 / np.prod(leaf.shape[:-1]) ** 0.5), shapes)
    return net, params, h, context


@pytest.mark.parametrize("name", NETS)
def test_a_pixel_depends_on_all_pixels_before_it_and_on_no_other(name):
    net, params, h, _ = made(name)
    total = lambda h: jnp.sum(jnp.cos(net.apply(params, h)), axis=-1)[0]  # noqa: E731
    jacobian = jax.jit(jax.jacrev(total))(h)[:, :, 0]  # [H, W, H, W, E]: others' images play no part, see below
    length = SIZE[0] * SIZE[1]
    influence = np.abs(jacobian).max(axis=-1).reshape(length, length)  # of the column's pixel on the row's
    before = np.tri(length, k=-1, dtype=bool)
    assert np.all(influence[~before] == 0.0)
    if name in LIMITED:
        rows, columns = np.divmod(np.arange(length), SIZE[1])
        reach = net.first_reach
        near = (rows[:, None] - rows <= reach) & (np.abs(columns[:, None] - columns) <= reach)
        before &= near
        assert np.all(influence[~before] == 0.0)
    assert np.all(influence[before] > 0.0)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("name", NETS)
def test_pixel_by_pixel_gives_the_same_features(name, context):
    net, params, h, context = made(name, context)

    def all_pixels(params, h, context):
        cache = net.apply(params, NUM, SIZE, context, method="start")

        def row(i, carry):
            features, cache = carry
            cache = net.apply(params, cache, i, method="start_row")

            def pixel(j, carry):
                features, cache = carry
                here, cache = net.apply(params, cache, i, j, method="read")
                cache = net.apply(params, cache, h[:, i, j], i, j, method="write")
                return features.at[:, i, j].set(here), cache

            return jax.lax.fori_loop(0, SIZE[1], pixel, (features, cache))

        features = jnp.full((*h.shape[:3], net.features), jnp.nan)
        return jax.lax.fori_loop(0, SIZE[0], row, (features, cache))[0]

    expected = jax.jit(net.apply)(params, h, context)
    np.testing.assert_allclose(jax.jit(all_pixels)(params, h, context), expected, rtol=2e-5, atol=2e-5)
    assert np.std(expected, axis=(1, 2)).min() > 1e-3


@pytest.mark.parametrize("name", NETS)
def test_a_context_reaches_every_pixel_and_a_map_its_own_image_alone(name):
    net, params, h, context = made(name, "map")
    features = jax.jit(net.apply)
    changed = np.abs(features(params, h, context.at[0, 1, 2].add(1.0)) - features(params, h, context)).max(axis=-1)
    assert changed[0, 1, 2] > 1e-4
    assert np.all(changed[1:] == 0.0)
    vector = made(name, "vector")
    changed = np.abs(features(vector[1], h, vector[3] + 1.0) - features(vector[1], h, vector[3])).max(axis=-1)
    assert np.all(changed > 1e-5)


@pytest.mark.parametrize("name", NETS)
def test_half_precision_is_close_and_pixel_by_pixel_keeps_its_types(name):
    net, params, h, context = made(name, "vector")
    half = NETS[name](dtype=jnp.bfloat16)
    expected = jax.jit(net.apply)(params, h, context)
    got = jax.jit(half.apply)(params, h, context)
    assert np.abs(got.astype(np.float32) - expected).mean() < 0.03 * np.abs(expected).mean()

    def step(cache):
        cache = half.apply(params, cache, 1, method="start_row")
        _, cache = half.apply(params, cache, 1, 0, method="read")
        return half.apply(params, cache, h[:, 0, 0], 1, 0, method="write")

    cache = jax.eval_shape(lambda: half.apply(params, NUM, SIZE, context, method="start"))
    types = lambda cache: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), cache)  # noqa: E731
    assert types(jax.eval_shape(step, cache)) == types(cache)


@pytest.mark.parametrize("name", NETS)
def test_mistakes_are_named(name):
    net, params, h, _ = made(name)
    with pytest.raises(ValueError, match=rf"inputs of a {type(net).__name__} has shape \[3, 4, 5, 1\]"):
        net.apply(params, h[..., :1])
    with pytest.raises(ValueError, match=r"context of an autoregressive net has shape \[2, 3\], expected \[3, any\]"):
        net.apply(params, h, jnp.zeros((2, 3)))


def test_new_cells_remember_and_new_residual_layers_are_small():
    h = jnp.zeros((1, *SIZE, INPUTS))
    params = jax.jit(NETS["pixelrnn"]().init)(jax.random.key(0), h)["params"]
    for name in ("to_left_0", "to_right_1"):  # the gates i, f, o, g of 6 features
        np.testing.assert_array_equal(params[name]["bias"], np.repeat([0.0, 1.0, 0.0, 0.0], 6))
    net = Transformer(INPUTS, SIZE, 64, num_layers=2, num_heads=2)
    params = jax.jit(net.init)(jax.random.key(0), h)["params"]
    for name, fan_in in (("joined_0", 64), ("contract_1", 256)):  # variance 1 / (2 L fan_in)
        np.testing.assert_allclose(np.var(params[name]["kernel"]) * 2 * 2 * fan_in, 1.0, rtol=0.1)


def test_transformers_refuse_other_sizes_and_heads():
    net, params, h, _ = made("transformer")
    with pytest.raises(ValueError, match=r"of a Transformer has shape \[3, 4, 4, 2\], expected \[any, 4, 5, 2\]"):
        net.apply(params, h[:, :, :4])
    with pytest.raises(ValueError, match="A Transformer of 4x5 pixels is asked for 4x4"):
        net.apply(params, NUM, (4, 4), method="start")
    with pytest.raises(ValueError, match="3 heads cannot share 8 features, expected a divisor"):
        Transformer(INPUTS, SIZE, 8, num_heads=3).init(jax.random.key(0), h)
