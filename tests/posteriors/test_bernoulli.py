"""Posteriors of bits: exact masses, relaxed densities, straight-through gradients, one set of parameters for all."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from jaxvae import distributions
from jaxvae.posteriors import BernoulliPosterior, RelaxedBernoulliPosterior, StraightThroughPosterior

NUM_EXAMPLES, NUM_FEATURES, DIM, NUM_SAMPLES, TEMPERATURE = 4, 5, 3, 3_000, 0.7
KEYS = jax.random.split(jax.random.key(1), NUM_EXAMPLES)
FEATURES = jax.random.normal(jax.random.key(2), (NUM_EXAMPLES, NUM_FEATURES))
POSTERIORS = {
    "hard": BernoulliPosterior(DIM),
    "straight_through": StraightThroughPosterior(DIM),
    "relaxed": RelaxedBernoulliPosterior(DIM, TEMPERATURE),
}
RNG = np.random.default_rng(0)
KERNEL, BIAS = RNG.normal(size=(NUM_FEATURES, DIM)), RNG.normal(size=DIM)
PARAMS = {"params": {"logits": {"kernel": jnp.array(KERNEL, jnp.float32), "bias": jnp.array(BIAS, jnp.float32)}}}
LOGITS = np.asarray(FEATURES, np.float64) @ KERNEL + BIAS
ALL_BITS = np.array(list(itertools.product((0.0, 1.0), repeat=DIM)), np.float32)


@functools.cache
def results(name):
    """Draws with all that belongs to them, from one program."""

    @jax.jit
    def run(params):
        apply = functools.partial(POSTERIORS[name].apply, params)
        z, log_qz, logits = apply(KEYS, FEATURES, NUM_SAMPLES)
        again = apply(FEATURES, z, method="log_prob")
        everything = jnp.broadcast_to(ALL_BITS[:, None], (len(ALL_BITS), NUM_EXAMPLES, DIM))
        of_bits = apply(FEATURES, everything, method="log_prob")
        return z, log_qz, logits, again, apply(KEYS, FEATURES, 1, method="mean"), of_bits

    return jax.tree.map(np.asarray, run(PARAMS))


def test_all_have_the_same_parameters():
    shapes = [
        jax.tree.map(jnp.shape, jax.eval_shape(lambda p=p: p.init(jax.random.key(0), KEYS, FEATURES, 1)))
        for p in POSTERIORS.values()
    ]
    assert shapes == [jax.tree.map(jnp.shape, PARAMS)] * 3


@pytest.mark.parametrize("name", POSTERIORS)
def test_sample_s_of_example_b_is_that_of_its_key_with_s_folded_in(name):
    z, log_qz, logits, given, _, _ = results(name)
    np.testing.assert_allclose(logits, LOGITS, rtol=1e-4, atol=1e-5)
    draw = distributions.bernoulli_sample
    if name == "relaxed":
        draw = functools.partial(distributions.relaxed_bernoulli_sample, temperature=TEMPERATURE)
    for s, b in ((0, 0), (1, 0), (1, 2)):
        np.testing.assert_allclose(z[s, b], draw(jax.random.fold_in(KEYS[b], s), logits[b]), rtol=1e-5, atol=1e-5)
    if name == "relaxed":
        expected = stats.logistic.logpdf(z, LOGITS / TEMPERATURE, 1.0 / TEMPERATURE).sum(-1)
    else:
        expected = stats.bernoulli.logpmf(z, special.expit(LOGITS)).sum(-1)
    np.testing.assert_allclose(log_qz, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4)


def test_masses_of_all_bits_sum_to_one():
    of_bits = results("hard")[-1]
    np.testing.assert_allclose(special.logsumexp(of_bits, axis=0), np.zeros(NUM_EXAMPLES), atol=1e-5)


@pytest.mark.parametrize("name", POSTERIORS)
def test_mean_is_that_of_the_draws(name):
    z, _, _, _, mean, _ = results(name)
    z = z.astype(np.float64)
    assert np.all(np.abs(z.mean(0) - mean) < 4.0 * z.std(0) / np.sqrt(NUM_SAMPLES))


def test_straight_through_draws_are_the_hard_ones_with_the_gradient_of_the_probability():
    z = results("straight_through")[0]
    assert set(np.unique(z)) == {0.0, 1.0}
    np.testing.assert_array_equal(z, results("hard")[0])
    weights = jax.random.normal(jax.random.key(3), (2, NUM_EXAMPLES, DIM))
    of = lambda name, params: jnp.sum(weights * POSTERIORS[name].apply(params, KEYS, FEATURES, 2)[0])  # noqa: E731
    gradients = jax.jit(lambda params: [jax.grad(of, 1)(name, params) for name in ("hard", "straight_through")])
    hard, through = (gradient["params"]["logits"] for gradient in gradients(PARAMS))
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(hard))
    # d/dlogit = sum of the weights times q (1 - q).
    q = special.expit(LOGITS)
    of_logits = np.asarray(weights).sum(0) * q * (1 - q)
    np.testing.assert_allclose(through["bias"], of_logits.sum(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(through["kernel"], np.asarray(FEATURES).T @ of_logits, rtol=1e-4, atol=1e-5)


def test_relaxed_draws_take_a_traced_temperature():
    draw = lambda t: RelaxedBernoulliPosterior(DIM, t).apply(PARAMS, KEYS, FEATURES, 2)[:2]  # noqa: E731
    y, log_qy = jax.jit(jax.vmap(draw))(jnp.array([0.3, TEMPERATURE]))
    np.testing.assert_allclose(y[1], results("relaxed")[0][:2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(0.3 * y[0], TEMPERATURE * y[1], rtol=1e-4, atol=1e-5)
    rise = np.full((2, NUM_EXAMPLES), DIM * np.log(TEMPERATURE / 0.3))
    np.testing.assert_allclose(log_qy[1] - log_qy[0], rise, rtol=1e-4)


@pytest.mark.parametrize("name", ["straight_through", "relaxed"])
def test_extreme_logits_give_finite_values_and_gradients(name):
    extreme = {"kernel": jnp.zeros((NUM_FEATURES, DIM)), "bias": jnp.array([-1e4, 0.0, 1e4])}

    def total(dense):
        params = {"params": {"logits": dense}}
        z, log_qz, _ = POSTERIORS[name].apply(params, KEYS, FEATURES, 2)
        of_others = POSTERIORS[name].apply(params, FEATURES, 1.0 - z, method="log_prob")
        return jnp.sum(z) + jnp.sum(log_qz) + jnp.sum(of_others)

    value, gradient = jax.jit(jax.value_and_grad(total))(extreme)
    assert np.isfinite(value)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("name", POSTERIORS)
def test_wrong_arguments_are_refused(name):
    shape_of = lambda *args, **options: jax.eval_shape(lambda: POSTERIORS[name].apply(PARAMS, *args, **options))  # noqa: E731
    with pytest.raises(ValueError, match=r"features has shape \[3, 5\], expected \[4, any\]\."):
        shape_of(KEYS, FEATURES[:3], 1)
    with pytest.raises(ValueError, match=r"z has shape \[2, 4, 2\], expected \[any, any, 3\]\."):
        shape_of(FEATURES, jnp.zeros((2, NUM_EXAMPLES, 2)), method="log_prob")


def test_relaxed_refuses_a_temperature_of_zero():
    with pytest.raises(ValueError, match="The temperature of relaxed bits is 0, expected more than 0"):
        jax.eval_shape(lambda: RelaxedBernoulliPosterior(DIM, 0).apply(PARAMS, KEYS, FEATURES, 1))
