"""Gumbel-softmax quantisation: draws, their relaxation, the KL."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from jaxvae.quantizers import GumbelQuantizer, gumbel_softmax
from jaxvae.types import StepKeys
from tests.drawn import normal_like

BATCH, SIZE, DIM, NUM_CODES = 3, (2, 2), 4, 5
RNG = np.random.default_rng(0)
Z = RNG.standard_normal((BATCH, *SIZE, DIM), np.float32)
KEYS = StepKeys(jax.random.split(jax.random.key(1), BATCH), jax.random.key(2))
PARAMS = normal_like(
    {
        "embeddings": np.zeros((NUM_CODES, DIM)),
        "logits": {"kernel": np.zeros((DIM, NUM_CODES)), "bias": np.zeros(NUM_CODES)},
    }
)
LOGITS = Z.astype(np.float64) @ PARAMS["logits"]["kernel"] + PARAMS["logits"]["bias"]
COTANGENT = RNG.standard_normal(Z.shape, np.float32)


@functools.cache
def program(hard):
    quantizer = GumbelQuantizer(NUM_CODES, DIM, hard=hard)

    @jax.jit
    def run(params, z, keys, temperature):
        def total(params):
            output = quantizer.apply({"params": params}, z, keys, train=True, temperature=temperature)
            return jnp.sum(COTANGENT[: len(z)] * output.z_q), output

        (_, output), gradient = jax.value_and_grad(total, has_aux=True)(params)
        return output, gradient

    return run


def noise_of(keys):
    """What the quantizer adds to the logits of each example."""
    return np.asarray(jax.vmap(lambda key: jax.random.gumbel(key, (*SIZE, NUM_CODES)))(keys))


def relaxed_by_numpy(temperature):
    return special.softmax((LOGITS + noise_of(KEYS.examples)) / temperature, axis=-1)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_relaxed_draws_equal_the_formula(temperature):
    relaxed = relaxed_by_numpy(temperature)
    noise = noise_of(KEYS.examples)
    found = jax.jit(gumbel_softmax)(LOGITS.astype(np.float32), noise, temperature)
    np.testing.assert_allclose(found, relaxed, rtol=1e-4, atol=1e-6)
    output, gradient = program(hard=False)(PARAMS, Z, KEYS, temperature)
    np.testing.assert_allclose(output.z_q, relaxed @ PARAMS["embeddings"], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(output.codes, relaxed.argmax(-1))
    error = ((output.z_q - PARAMS["embeddings"][output.codes]) ** 2).mean()
    np.testing.assert_allclose(output.stats["quantization_error"], error, rtol=1e-4)
    of_embeddings = np.einsum("bhwk,bhwd->kd", relaxed, COTANGENT)
    np.testing.assert_allclose(gradient["embeddings"], of_embeddings, rtol=1e-4, atol=1e-5)


def test_hard_draws_are_codes_with_the_gradient_of_relaxed_ones():
    relaxed, codes = relaxed_by_numpy(0.5), relaxed_by_numpy(0.5).argmax(-1)
    output, gradient = program(hard=True)(PARAMS, Z, KEYS, 0.5)
    soft = program(hard=False)(PARAMS, Z, KEYS, 0.5)[1]
    np.testing.assert_array_equal(output.codes, codes)
    np.testing.assert_array_equal(output.z_q, PARAMS["embeddings"][codes])
    for name, leaf in gradient["logits"].items():
        np.testing.assert_allclose(leaf, soft["logits"][name], rtol=1e-4, atol=1e-5)
        assert np.abs(leaf).max() > 1e-2
    of_embeddings = np.einsum("bhwk,bhwd->kd", np.eye(NUM_CODES)[codes], COTANGENT)
    np.testing.assert_allclose(gradient["embeddings"], of_embeddings, rtol=1e-4, atol=1e-5)
    error = ((relaxed @ PARAMS["embeddings"] - output.z_q) ** 2).mean()
    np.testing.assert_allclose(output.stats["quantization_error"], error, rtol=1e-4)


def test_low_temperatures_give_codes_and_finite_gradients():
    output, gradient = program(hard=False)(PARAMS, Z, KEYS, 1e-3)
    np.testing.assert_allclose(output.z_q, PARAMS["embeddings"][output.codes], rtol=1e-4, atol=1e-4)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


def test_evaluation_takes_the_most_probable_code():
    quantizer = GumbelQuantizer(NUM_CODES, DIM)
    output = jax.jit(lambda params, z: quantizer.apply({"params": params}, z, None, train=False))(PARAMS, Z)
    np.testing.assert_array_equal(output.codes, LOGITS.argmax(-1))
    assert output.stats["quantization_error"] == 0.0
    q = special.softmax(LOGITS, axis=-1)
    kl = (q * np.log(q * NUM_CODES)).sum((1, 2, 3))
    np.testing.assert_allclose(output.penalty, kl, rtol=1e-4)


def test_codes_are_as_frequent_as_they_are_probable():
    num = 4_000
    z = np.broadcast_to(Z[:1], (num, *Z.shape[1:]))
    keys = StepKeys(jax.random.split(jax.random.key(5), num), KEYS.shared)
    quantizer = GumbelQuantizer(NUM_CODES, DIM)
    codes = jax.jit(lambda params: quantizer.apply({"params": params}, z, keys, train=True).codes)(PARAMS)
    frequency = np.eye(NUM_CODES)[np.asarray(codes)].mean(0)
    q = special.softmax(LOGITS[0], axis=-1)
    assert np.all(np.abs(frequency - q) < 4 * np.sqrt(q * (1 - q) / num) + 1e-3)


def test_noise_belongs_to_an_example():
    output = program(hard=True)(PARAMS, Z, KEYS, 1.0)[0]
    alone = program(hard=True)(PARAMS, Z[1:2], StepKeys(KEYS.examples[1:2], jax.random.key(9)), 1.0)[0]
    np.testing.assert_array_equal(alone.codes[0], output.codes[1])


def test_missing_keys_are_named():
    run = lambda keys: GumbelQuantizer(NUM_CODES, DIM).apply({"params": PARAMS}, Z, keys, train=True)  # noqa: E731
    with pytest.raises(ValueError, match="GumbelQuantizer draws codes, expected the StepKeys of the step, got None"):
        jax.eval_shape(lambda: run(None))
    with pytest.raises(ValueError, match=r"keys has shape \[2\], expected \[3\]"):
        jax.eval_shape(lambda: run(StepKeys(KEYS.examples[:2], KEYS.shared)))
