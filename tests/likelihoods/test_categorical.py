"""Categorical codes against a slow softmax."""

import jax
import numpy as np

from jaxvae.likelihoods import categorical


def test_categorical_of_codes_equals_a_slow_softmax():
    generator = np.random.default_rng(0)
    logits, codes = generator.normal(scale=3.0, size=(2, 3, 7)), generator.integers(0, 7, (2, 3))
    expected = mean = 0.0
    for index in np.ndindex(2, 3):
        p = np.exp(logits[index]) / np.sum(np.exp(logits[index]))
        expected += np.log(p[codes[index]])
        mean += sum(v * p[v] for v in range(7))
    likelihood = categorical(7)
    log_p = jax.jit(likelihood.log_prob)(logits.astype(np.float32), codes.astype(np.int32))
    np.testing.assert_allclose(log_p, expected, rtol=1e-5)
    np.testing.assert_allclose(np.sum(jax.jit(likelihood.mean)(logits.astype(np.float32))), mean, rtol=1e-5)


def test_a_new_categorical_decoder_excludes_no_value():
    # The mean of a dark pixel, not the certainty: the least of 256 values costs 20 nats at most.
    likelihood = categorical()
    new = jax.jit(lambda mean: likelihood.log_pmf(likelihood.init_bias(mean)))
    log_p = new(np.array([0.0, 10.0, 127.5], np.float32))
    assert np.min(log_p) > -20.0
    np.testing.assert_allclose(log_p[2], np.full(256, -np.log(256.0)), rtol=1e-4)
