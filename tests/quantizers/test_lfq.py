"""Lookup-free quantisation: its entropies against a softmax over all codes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from jaxvae.quantizers import LFQ, bits_entropy, mean_code_probs

NUM_BITS, TEMPERATURE = 5, 2.0
Z = np.random.default_rng(0).standard_normal((4, 2, 3, NUM_BITS), np.float32)
ALL = np.array(list(itertools.product((-1.0, 1.0), repeat=NUM_BITS)))  # [2^n, n]
DISTANCES = ((Z.reshape(-1, 1, NUM_BITS).astype(np.float64) - ALL) ** 2).sum(-1)
LOG_Q = special.log_softmax(-DISTANCES / TEMPERATURE, axis=-1)  # [N, 2^n]


def test_penalty_equals_the_formula_over_all_codes():
    quantizer = LFQ(NUM_BITS, NUM_BITS, entropy_weight=0.3, commitment_weight=0.7, temperature=TEMPERATURE)
    output = jax.jit(lambda z: quantizer.apply({}, z, None, train=True))(Z)
    of_each = -(np.exp(LOG_Q) * LOG_Q).sum(-1).reshape(4, -1).mean(1)
    mean = np.exp(LOG_Q).mean(0)
    of_batch = -(mean * np.log(mean)).sum()
    commitment = ((Z - np.sign(Z)) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(output.penalty, 0.3 * (of_each - of_batch) + 0.7 * commitment, rtol=1e-4)
    evaluated = jax.jit(lambda z: quantizer.apply({}, z, None, train=False))(Z)  # an example's own part alone
    np.testing.assert_allclose(evaluated.penalty, 0.3 * of_each + 0.7 * commitment, rtol=1e-4)
    np.testing.assert_array_equal(output.z_q, np.sign(Z))
    np.testing.assert_array_equal(output.codes, ((Z > 0) * 2 ** np.arange(NUM_BITS)).sum(-1))


@pytest.mark.parametrize("num_bits", [1, 4, NUM_BITS])
def test_mean_probabilities_are_those_of_all_codes(num_bits):
    logits = 2.0 * Z.reshape(-1, NUM_BITS)[:, :num_bits]
    bits = np.array(list(itertools.product((0, 1), repeat=num_bits)))
    ones = special.expit(logits.astype(np.float64))[:, None]
    expected = np.where(bits, ones, 1 - ones).prod(-1).mean(0)
    found = jax.jit(mean_code_probs)(logits)
    np.testing.assert_allclose(np.sort(found), np.sort(expected), rtol=1e-4)
    np.testing.assert_allclose(found.sum(), 1.0, rtol=1e-5)


def test_entropy_of_bits_by_hand():
    logits = np.array([[0.0, 0.0], [1e3, -1e3], [0.0, np.log(3.0)]], np.float32)
    quarter = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    np.testing.assert_allclose(
        jax.jit(bits_entropy)(logits), [2 * np.log(2), 0.0, np.log(2) + quarter], rtol=1e-5, atol=1e-6
    )


def test_a_vector_of_zeros_has_a_code():
    output = jax.jit(lambda z: LFQ(3, 3).apply({}, z, None, train=False))(jnp.zeros((1, 1, 1, 3)))
    assert output.codes.tolist() == [[[0]]]
    np.testing.assert_array_equal(output.z_q, -np.ones((1, 1, 1, 3)))


@pytest.mark.parametrize("num_bits", [0, 31])
def test_impossible_numbers_of_bits_are_named(num_bits):
    with pytest.raises(ValueError, match=f"LFQ has {num_bits} bits, expected 1 to 30"):
        jax.eval_shape(lambda: LFQ(num_bits, 3).init(jax.random.key(0), jnp.zeros((1, 1, 1, 3)), None, train=False))
