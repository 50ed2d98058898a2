import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.data import binarize, dequantize, flip, from_blocks, shift, to_blocks, to_unit, transforms
from jaxvae.data.transforms import NOISE_LEVELS, pixel_noise


def shift_by_one(keys, x):
    return shift(keys, x, 1)


def _keys(num, seed=0):
    return jax.random.split(jax.random.key(seed), num)


@pytest.mark.parametrize("num_values", [2, 8, 256])
def test_to_unit_divides_by_the_largest_value(num_values):
    x = to_unit(jnp.arange(num_values, dtype=jnp.uint8), num_values)
    assert x.dtype == jnp.float32
    np.testing.assert_allclose(x, np.linspace(0, 1, num_values), rtol=1e-6)


def test_to_unit_leaves_floats():
    x = to_unit(jnp.array([0.0, 0.3, 1.0]))
    np.testing.assert_array_equal(x, np.float32([0.0, 0.3, 1.0]))


@pytest.mark.parametrize("as_float", [False, True])
def test_binarize_draws_ones_as_often_as_the_pixel_says(as_float):
    values = np.arange(256).reshape(16, 16, 1)
    x = jnp.asarray(np.broadcast_to(values, (4000, 16, 16, 1)).astype(np.uint8))
    y = np.asarray(jax.jit(binarize)(_keys(4000), x / 255 if as_float else x))
    assert y.dtype == jnp.float32
    assert set(np.unique(y)) == {0.0, 1.0}
    p = values / 255
    error = (y.mean(axis=0) - p) / np.sqrt(p * (1 - p) / 4000 + 1e-12)
    assert np.abs(error).max() < 4.5
    assert abs(np.sqrt((error[1:-1] ** 2).mean()) - 1) < 0.15  # spread as independent draws are
    assert (y[:, 0, 0] == 0).all()
    assert (y[:, 15, 15] == 1).all()


@pytest.mark.parametrize("value", [0, 1, 2, 127, 254, 255])
def test_binarize_is_right_to_half_a_noise_level(monkeypatch, value):
    every_level = jnp.arange(NOISE_LEVELS, dtype=jnp.float32).reshape(1, 256, 256, 1)
    monkeypatch.setattr(transforms, "pixel_noise", lambda keys, shape: every_level)
    y = np.asarray(binarize(_keys(1), jnp.full((1, 256, 256, 1), value, jnp.uint8)))
    assert abs(y.mean(dtype=np.float64) - value / 255) <= (0 if value in (0, 255) else 1.01 * 2**-17)


def test_binarize_passes_binary_images():
    x = jnp.asarray(np.random.default_rng(0).integers(0, 2, (5, 4, 4, 1)), jnp.uint8)
    y = binarize(_keys(5), x, num_values=2)
    assert y.dtype == jnp.float32
    np.testing.assert_array_equal(x, y)
    jaxpr = str(jax.make_jaxpr(lambda keys, x: binarize(keys, x, num_values=2))(_keys(5), x))
    assert "random_bits" not in jaxpr  # costs nothing


@pytest.mark.parametrize("transform", [binarize, dequantize])
def test_noise_belongs_to_the_example(transform):
    x = jnp.full((6, 5, 3, 1), 100, jnp.uint8)
    keys = _keys(6)
    whole = jax.jit(transform)(keys, x)
    np.testing.assert_array_equal(whole[2:4], jax.jit(transform)(keys[2:4], x[2:4]))
    assert not np.array_equal(whole[0], whole[1])
    assert not np.array_equal(whole, jax.jit(transform)(_keys(6, seed=1), x))


@pytest.mark.parametrize("shape", [(5, 3, 1), (4, 4, 3)])
def test_noise_is_uniform_and_independent(shape):
    """Both halves of a word are used, neither twice, in odd sizes too."""
    noise = np.asarray(jax.jit(pixel_noise, static_argnums=1)(_keys(600), (600, *shape)))
    assert noise.shape == (600, *shape)
    assert noise.min() >= 0
    assert noise.max() <= NOISE_LEVELS - 1
    flat = noise.reshape(600, -1)
    np.testing.assert_allclose(flat.mean() / NOISE_LEVELS, 0.5, atol=0.01)
    np.testing.assert_allclose(flat.std() / NOISE_LEVELS, 12**-0.5, atol=0.005)
    assert np.abs(np.corrcoef(flat.T) - np.eye(flat.shape[1])).max() < 0.25


def test_dequantize_stays_in_the_cell_of_the_pixel():
    x = jnp.asarray(np.tile(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1), (500, 1, 1, 1)))
    y = np.asarray(jax.jit(dequantize)(_keys(500), x))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(np.floor(256 * y), x)
    u = 256 * y - np.asarray(x)
    np.testing.assert_allclose(u.mean(axis=(1, 2, 3)), 0.5, atol=0.1)
    np.testing.assert_allclose([u.mean(), u.std()], [0.5, 12**-0.5], atol=2e-3)


def test_dequantize_never_reaches_one():
    worst = (jnp.float32(255) + jnp.float32(NOISE_LEVELS - 1) / NOISE_LEVELS) / 256
    assert worst < 1


@pytest.mark.parametrize("num_values", [2, 8])
def test_dequantize_knows_other_numbers_of_values(num_values):
    x = jnp.full((3, 4, 4, 1), num_values - 1, jnp.uint8)
    y = np.asarray(jax.jit(dequantize, static_argnums=2)(_keys(3), x, num_values))
    assert y.min() >= 1 - 1 / num_values
    assert y.max() < 1


def test_dequantize_refuses_floats():
    with pytest.raises(ValueError, match="float32, expected integer pixels"):
        dequantize(_keys(2), jnp.zeros((2, 3, 3, 1)))


def test_flip_mirrors_half_of_the_images():
    x = jnp.asarray(np.random.default_rng(0).integers(0, 256, (1000, 3, 4, 2)), jnp.uint8)
    y = jax.jit(flip)(_keys(1000), x)
    assert y.dtype == x.dtype
    mirrored = (np.asarray(y) == np.asarray(x)[:, :, ::-1]).all(axis=(1, 2, 3))
    same = (np.asarray(y) == np.asarray(x)).all(axis=(1, 2, 3))
    assert (mirrored ^ same).all()
    assert 430 < mirrored.sum() < 570


def test_shift_moves_images_to_all_places_alike_and_zeros_come_in():
    x = np.random.default_rng(0).integers(1, 256, (1, 3, 4, 2)).astype(np.uint8)
    y = np.asarray(jax.jit(shift, static_argnums=2)(_keys(2250), jnp.asarray(np.tile(x, (2250, 1, 1, 1))), 1))
    assert y.dtype == x.dtype
    wide = np.pad(x[0], ((1, 1), (1, 1), (0, 0)))
    places = [wide[i : i + 3, j : j + 4] for i in range(3) for j in range(3)]
    counts = [int((y == place).all(axis=(1, 2, 3)).sum()) for place in places]
    assert sum(counts) == 2250
    assert min(counts) > 180  # 250 each, standard deviation 15
    assert max(counts) < 320
    np.testing.assert_array_equal(shift(_keys(1), jnp.asarray(x), 0), x)
    with pytest.raises(ValueError, match="most is -1, expected at least 0 pixels"):
        shift(_keys(1), jnp.asarray(x), -1)


@pytest.mark.parametrize("transform", [binarize, dequantize, flip, shift_by_one])
def test_one_key_an_example_is_expected(transform):
    with pytest.raises(ValueError, match=r"keys have shape \[2\], expected one an image, \[3\]"):
        transform(_keys(2), jnp.zeros((3, 2, 2, 1), jnp.uint8))


@pytest.mark.parametrize("transform", [binarize, dequantize, flip, shift_by_one])
def test_transforms_trace_once_under_jit(transform):
    x = jnp.asarray(np.random.default_rng(0).integers(0, 256, (4, 5, 3, 1)), jnp.uint8)
    chex.clear_trace_counter()
    jitted = jax.jit(chex.assert_max_traces(transform, n=1))
    outputs = [np.asarray(jitted(_keys(4, seed), x)) for seed in range(3)]
    np.testing.assert_array_equal(outputs[2], transform(_keys(4, 2), x))


def test_blocks_are_read_like_binary_numbers_and_undone():
    x = jnp.array([[1, 0, 0, 0], [1, 1, 0, 1]], jnp.float32).reshape(1, 2, 4, 1)
    np.testing.assert_array_equal(to_blocks(x, 2), [[[0b1011, 0b0001]]])
    x = jax.random.bernoulli(jax.random.key(0), 0.5, (3, 6, 4, 2)).astype(jnp.float32)
    codes = to_blocks(x, 2)
    assert codes.shape == (3, 3, 2)
    assert codes.dtype == jnp.int32
    assert 0 <= codes.min() <= codes.max() < 256
    np.testing.assert_array_equal(from_blocks(codes, 2, 2), x)
    with pytest.raises(ValueError, match="Images of 6x4 pixels cannot be divided into blocks of 4x4"):
        to_blocks(x, 4)
