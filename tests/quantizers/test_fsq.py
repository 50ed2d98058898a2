"""Finite scalar quantisation by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.quantizers import FSQ, fsq_bound, fsq_codes, fsq_values

LEVELS = (8, 5)
#                  z               rounded     code = (r_1 + 4) + 8 (r_2 + 2)
BY_HAND = [
    ((0.0, 0.0), (0, 0), 20),
    ((100.0, 100.0), (3, 2), 39),
    ((-100.0, -100.0), (-4, -2), 0),
    ((1.0, -0.5), (2, -1), 14),  # 3.4965 tanh(1.144) - 0.5 = 2.35, 1.998 tanh(-0.5) = -0.92
    ((-0.3, 0.3), (-1, 1), 27),  # 3.4965 tanh(-0.156) - 0.5 = -1.04, 1.998 tanh(0.3) = 0.58
]


def test_values_by_hand():
    z = np.array([row[0] for row in BY_HAND], np.float32).reshape(1, 1, -1, 2)
    rounded, codes = np.array([row[1] for row in BY_HAND]), [row[2] for row in BY_HAND]

    @jax.jit
    def run(z):
        total = lambda z: FSQ(LEVELS, 2).apply({}, z, None, train=True).z_q.sum()  # noqa: E731
        return FSQ(LEVELS, 2).apply({}, z, None, train=True), fsq_bound(z, LEVELS), jax.grad(total)(z)

    output, bounded, of_z = jax.tree.map(np.asarray, run(z))
    assert output.codes.tolist() == [[codes]]
    np.testing.assert_array_equal(np.round(bounded[0, 0]), rounded)
    np.testing.assert_array_equal(output.z_q[0, 0], rounded / [4, 2])
    assert output.penalty.tolist() == [0.0]
    error = (((bounded[0, 0] - rounded) / np.array([4, 2])) ** 2).mean()
    np.testing.assert_allclose(output.stats["quantization_error"], error, rtol=1e-4)
    # The gradient is that of the bound, h / (L // 2) (1 - tanh^2).
    half = np.array([7, 4]) * 0.999 / 2
    shift = np.array([np.tan(0.5 / half[0]), 0.0])
    np.testing.assert_allclose(of_z, half / [4, 2] * (1 - np.tanh(z + shift) ** 2), rtol=1e-4, atol=1e-6)


def test_codes_and_values_are_inverse():
    levels, num = (8, 5, 5, 5), 1_000

    @jax.jit
    def run(codes):
        values = fsq_values(codes, levels)
        return values, fsq_codes(jnp.round(values * np.array([[4, 2, 2, 2]], np.float32)), levels)

    values, back = run(np.arange(num, dtype=np.int32))
    np.testing.assert_array_equal(back, np.arange(num))
    assert len(np.unique(values, axis=0)) == num
    np.testing.assert_array_equal(values.min(0), -np.ones(4))
    np.testing.assert_array_equal(values.max(0), [0.75, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(values[1] - values[0], [0.25, 0.0, 0.0, 0.0])


def test_every_level_is_reached_and_no_other():
    levels = tuple(range(2, 17))
    z = np.linspace(-9.0, 9.0, 4_001, dtype=np.float32)[:, None] * np.ones(len(levels), np.float32)
    rounded = np.round(np.asarray(jax.jit(lambda z: fsq_bound(z, levels))(z)))
    for i, num in enumerate(levels):
        assert sorted(set(rounded[:, i])) == list(range(-(num // 2), num - num // 2))


def test_what_is_not_a_number_has_a_code_in_range():
    rounded = np.full((2, 2), np.nan, np.float32)
    codes = np.asarray(jax.jit(lambda rounded: fsq_codes(rounded, LEVELS))(rounded))
    assert np.all((codes >= 0) & (codes < 40))


@pytest.mark.parametrize("levels", [(), (4, 1)])
def test_impossible_levels_are_named(levels):
    with pytest.raises(ValueError, match="FSQ has levels .*, expected at least one channel of at least 2 each"):
        jax.eval_shape(lambda: FSQ(levels, 2).init(jax.random.key(0), jnp.zeros((1, 1, 1, 2)), None, train=False))
