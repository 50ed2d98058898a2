import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.data import flipped_pixels, gaussian_noise, masking_noise, salt_and_pepper

KEYS = jax.random.split(jax.random.key(0), 50)
X = jax.random.uniform(jax.random.key(1), (50, 20, 20, 3), minval=0.2, maxval=0.8)  # neither 0 nor 1
NOISES = [gaussian_noise, masking_noise, salt_and_pepper, flipped_pixels]


def test_gaussian_noise_has_its_moments():
    noise = np.asarray(gaussian_noise(KEYS, X, 0.5) - X)
    assert abs(np.mean(noise)) < 4 * 0.5 / np.sqrt(noise.size)
    assert np.std(noise) == pytest.approx(0.5, rel=4 / np.sqrt(2 * noise.size))


@pytest.mark.parametrize("level", [0.1, 0.75])
def test_masking_noise_leaves_the_others(level):
    y = np.asarray(masking_noise(KEYS, X, level))
    np.testing.assert_array_equal(y[y != 0], X[y != 0])
    assert np.mean(y == 0) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / y.size))


def test_salt_and_pepper_are_equally_likely():
    y = np.asarray(salt_and_pepper(KEYS, X, 0.3))
    untouched = (y != 0) & (y != 1)
    np.testing.assert_array_equal(y[untouched], X[untouched])
    for value in (0, 1):
        assert np.mean(y == value) == pytest.approx(0.15, abs=4 * np.sqrt(0.15 * 0.85 / y.size))


def test_flipped_pixels_are_those_of_a_binary_symmetric_channel():
    y = np.asarray(flipped_pixels(KEYS, X, 0.05))
    changed = y != X
    np.testing.assert_array_equal(y[changed], 1 - np.asarray(X)[changed])
    assert np.mean(changed) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / y.size))
    bits = (X > 0.5).astype(jnp.float32)
    assert set(np.unique(flipped_pixels(KEYS, bits, 0.3))) == {0, 1}
    np.testing.assert_array_equal(flipped_pixels(KEYS, bits, 1.0), 1 - bits)


@pytest.mark.parametrize("noise", NOISES)
def test_noise_belongs_to_the_example(noise):
    order = np.random.default_rng(0).permutation(50)
    np.testing.assert_array_equal(noise(KEYS[order], X[order], 0.5), noise(KEYS, X, 0.5)[order])
    same = noise(KEYS, jnp.broadcast_to(X[:1], X.shape), 0.5)
    assert not np.array_equal(same[0], same[1])


@pytest.mark.parametrize("noise", NOISES)
def test_level_zero_changes_nothing_and_each_example_may_have_its_own(noise):
    np.testing.assert_array_equal(noise(KEYS, X, 0.0), X)
    levels = jnp.where(jnp.arange(50) < 25, 0.0, 0.6)
    y = jax.jit(noise)(KEYS, X, levels)
    np.testing.assert_array_equal(y[:25], X[:25])
    np.testing.assert_allclose(y[25:], noise(KEYS, X, 0.6)[25:], atol=1e-6)


def test_level_one_leaves_nothing():
    assert not np.any(masking_noise(KEYS, X, 1.0))
    assert set(np.unique(salt_and_pepper(KEYS, X, 1.0))) == {0, 1}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("level", [-0.1, float("nan"), np.array([0.1] * 49 + [-1.0])])
def test_levels_outside_are_an_error(noise, level):
    with pytest.raises(ValueError, match="level of the noise is (-0.1|nan|-1), expected (0 to 1|at least 0)"):
        noise(KEYS, X, level)


def test_more_than_all_is_an_error():
    with pytest.raises(ValueError, match="level of the noise is 1.5, expected 0 to 1"):
        masking_noise(KEYS, X, 1.5)


@pytest.mark.parametrize("noise", NOISES)
def test_other_numbers_of_keys_are_an_error(noise):
    with pytest.raises(ValueError, match=r"keys have shape \[3\]"):
        noise(KEYS[:3], X, 0.5)
