import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.nets import dropout

KEYS = jax.random.split(jax.random.key(0), 64)
H = jax.random.normal(jax.random.key(1), (64, 7, 30)) + 3.0


def test_dropout_keeps_the_expectation():
    y = np.asarray(dropout(KEYS, jnp.ones((64, 2000)), 0.3))
    np.testing.assert_allclose(np.unique(y), [0.0, 1 / 0.7], rtol=1e-6)
    np.testing.assert_allclose(np.mean(y), 1.0, atol=4 * np.sqrt(0.3 / 0.7 / y.size))


def test_dropout_of_bfloat16_keeps_the_expectation():
    h = H.astype(jnp.bfloat16)
    y = dropout(KEYS, h, 0.1)
    assert y.dtype == jnp.bfloat16
    ratios = np.asarray(y, np.float64)[y != 0] / np.asarray(h, np.float64)[y != 0]
    np.testing.assert_allclose(np.mean(ratios), 1 / 0.9, rtol=4e-4)


def test_dropout_noise_belongs_to_the_example():
    order = np.random.default_rng(0).permutation(64)
    np.testing.assert_array_equal(dropout(KEYS[order], H[order], 0.5), dropout(KEYS, H, 0.5)[order])
    first = np.asarray(dropout(KEYS, jnp.ones((64, 100)), 0.5))
    assert not np.array_equal(first[0], first[1])


def test_dropout_of_rate_zero_changes_nothing():
    np.testing.assert_array_equal(dropout(KEYS, H, 0.0), H)
    np.testing.assert_array_equal(jax.jit(dropout)(KEYS, H, jnp.float32(0)), H)


def test_dropout_gradient_is_its_mask():
    gradient = jax.grad(lambda h: jnp.sum(dropout(KEYS, h, 0.25)))(H)
    np.testing.assert_allclose(gradient, dropout(KEYS, jnp.ones_like(H), 0.25), rtol=1e-6)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2, np.float32(1), jnp.float32(1)])
def test_dropout_refuses_rates(rate):
    with pytest.raises(ValueError, match="expected 0 to below 1"):
        dropout(KEYS, H, rate)


def test_dropout_refuses_other_numbers_of_keys():
    with pytest.raises(ValueError, match=r"keys have shape \[3\]"):
        dropout(KEYS[:3], H, 0.5)
