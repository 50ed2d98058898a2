"""Values as bits: the probabilities of these are those of the values."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.applications.compression.values import along, at, bit_logits, mass_logits, num_bits, to_bits


@pytest.mark.parametrize(("num_values", "bits"), [(2, 1), (3, 2), (4, 2), (5, 3), (256, 8), (257, 9)])
def test_a_value_has_as_many_bits_as_count_it(num_values, bits):
    assert num_bits(num_values) == bits
    values = np.arange(num_values).reshape(1, -1)
    found = to_bits(values, num_values)
    assert found.shape == (bits, 1, num_values)
    np.testing.assert_array_equal(np.tensordot(2 ** np.arange(bits)[::-1], found, 1), values)


@pytest.mark.parametrize("num_values", [2, 3, 6, 256])
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_probabilities_of_bits_multiply_to_that_of_the_value(num_values, scale):
    generator = np.random.default_rng(num_values)
    logits = scale * generator.standard_normal((5, 4, num_values)).astype(np.float32)
    log_p = logits - np.log(np.exp(logits.astype(np.float64)).sum(-1, keepdims=True))
    tree = [np.asarray(leaf, np.float64) for leaf in bit_logits(jnp.asarray(log_p, jnp.float32))]
    assert [leaf.shape for leaf in tree] == [(5, 4, 2**r) for r in range(num_bits(num_values))]
    for value in range(num_values):
        values = np.full((5, 4), value)
        of_bits, bits = along(tree, values), to_bits(values, num_values)
        total = -np.logaddexp(0, np.where(bits, -1, 1) * of_bits).sum(0)
        np.testing.assert_allclose(total, log_p[..., value], rtol=1e-4, atol=1e-4)


def test_values_that_are_never_taken_have_no_probability():
    log_p = jnp.log(jnp.array([0.0, 0.25, 0.0, 0.75, 0.0]))
    first, second, third = (np.asarray(leaf) for leaf in bit_logits(log_p))
    np.testing.assert_array_equal(first, [-np.inf])
    np.testing.assert_allclose(second, [np.log(3.0), 0.0], rtol=1e-6)  # of 0 and 1 against 2 and 3; of none
    np.testing.assert_array_equal(third, [np.inf, np.inf, 0.0, 0.0])
    assert not any(np.isnan(leaf).any() for leaf in (first, second, third))


def test_a_bit_is_looked_up_by_those_before_it():
    generator = np.random.default_rng(0)
    of_bit, prefix = generator.standard_normal((3, 2, 8)), generator.integers(0, 8, (3, 2))
    expected = [[of_bit[b, n, prefix[b, n]] for n in range(2)] for b in range(3)]
    np.testing.assert_array_equal(at(of_bit, prefix), expected)


@pytest.mark.parametrize("num_values", [2, 3, 6, 256])
def test_bits_by_masses_are_those_of_all_values(num_values):
    log_p = np.random.default_rng(num_values).standard_normal((3, num_values)).astype(np.float32)
    p = np.exp(log_p)
    sums = np.concatenate([np.zeros((3, 1)), np.cumsum(p, axis=1)], axis=1)
    rows = np.arange(3)
    log_mass = lambda low, high: jnp.log(jnp.asarray(sums)[rows, high + 1] - jnp.asarray(sums)[rows, low])  # noqa: E731
    tree = [np.asarray(leaf) for leaf in bit_logits(jnp.asarray(log_p))]
    for bit, of_bit in enumerate(tree):
        for number in sorted({0, 1, of_bit.shape[1] // 3, of_bit.shape[1] - 1} & set(range(of_bit.shape[1]))):
            found = mass_logits(log_mass, jnp.full(3, number), bit, num_values)
            np.testing.assert_allclose(found, of_bit[:, number], rtol=1e-3, atol=1e-3)
