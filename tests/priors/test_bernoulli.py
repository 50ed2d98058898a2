"""Priors of bits: masses that sum to one and are those of the draws, and relaxations with the same parameters."""

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from jaxvae import priors

DIM, TEMPERATURE, NUM, SIDE, HALF = 2, 0.6, 4_000, 400, 40.0
PRIORS = {
    "fair": (priors.fair_bernoulli(), priors.relaxed_fair_bernoulli(TEMPERATURE)),
    "learned": (priors.BernoulliPrior(DIM), priors.RelaxedBernoulliPrior(DIM, TEMPERATURE)),
    "mixture": (priors.BernoulliMixturePrior(DIM, 3), priors.RelaxedBernoulliMixturePrior(DIM, 3, TEMPERATURE)),
}
PARAMS = {
    "fair": {},
    "learned": {"logits": np.array([-1.1, 0.4])},
    "mixture": {
        "weights": np.array([0.5, -0.3, 0.0]),
        "logits": np.array([[-2.0, 1.0], [0.7, 0.2], [1.5, -1.0]]),
    },
}
ALL_BITS = np.array(list(itertools.product((0.0, 1.0), repeat=DIM)), np.float32)
LOGITS_Q = np.array([[0.4, -2.0], [1.5, 0.0]], np.float32)
AXIS = (np.arange(SIDE) + 0.5) / SIDE * 2 * HALF - HALF
GRID = np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), axis=-1).astype(np.float32)
LEARNED = ("learned", "mixture")


def bound(prior, params):
    return prior.bind({"params": params}) if isinstance(prior, nn.Module) else prior


@functools.cache
def results(name):
    """Densities and draws of a prior and its relaxation, from one program."""

    @jax.jit
    def run(params):
        hard, relaxed = (bound(prior, params) for prior in PRIORS[name])
        return {
            "log_mass": hard.log_prob(ALL_BITS),
            "of_one": [hard.log_prob(ALL_BITS[1]), relaxed.log_prob(GRID[3, 5])],
            "drawn": hard.sample(jax.random.key(2), (NUM, DIM)),
            "kl": hard.kl(LOGITS_Q) if name != "mixture" else None,
            "log_density": relaxed.log_prob(GRID),
            "relaxed": relaxed.sample(jax.random.key(3), (NUM, DIM)),
        }

    as_arrays = jax.tree.map(lambda leaf: jnp.array(leaf, jnp.float32), PARAMS[name])
    return jax.tree.map(np.asarray, run(as_arrays))


def parts_of(name):
    """Weights [K] and log-odds [K, D] of what every prior here is, a mixture."""
    logits = np.atleast_2d(PARAMS[name].get("logits", np.zeros(DIM)))
    return special.softmax(PARAMS[name].get("weights", np.zeros(1))), logits


def masses(name):
    weights, logits = parts_of(name)
    return np.array([weights @ stats.bernoulli.pmf(z, special.expit(logits)).prod(axis=1) for z in ALL_BITS])


def frequencies_agree(bits, name):
    counts = [np.sum(np.all(bits == one, axis=-1)) for one in ALL_BITS]
    return sum(counts) == NUM and stats.chisquare(counts, NUM * masses(name)).pvalue > 1e-3


@pytest.mark.parametrize("name", PRIORS)
def test_masses_equal_loops_and_are_those_of_the_draws(name):
    np.testing.assert_allclose(np.exp(results(name)["log_mass"]), masses(name), rtol=1e-4)
    np.testing.assert_allclose(masses(name).sum(), 1.0, rtol=1e-6)
    assert frequencies_agree(results(name)["drawn"], name)


@pytest.mark.parametrize("name", PRIORS)
def test_relaxed_densities_integrate_to_the_masses_of_their_quadrants(name):
    density = np.exp(results(name)["log_density"].astype(np.float64)) * (2 * HALF / SIDE) ** 2
    quadrants = density.reshape(2, SIDE // 2, 2, SIDE // 2).sum(axis=(1, 3)).ravel()
    np.testing.assert_allclose(quadrants, masses(name), atol=2e-3)


@pytest.mark.parametrize("name", PRIORS)
def test_relaxed_draws_have_the_density(name):
    y, (weights, logits) = results(name)["relaxed"], parts_of(name)
    for d in range(DIM):
        each = lambda v, d=d: stats.logistic.cdf(v, logits[:, d, None] / TEMPERATURE, 1 / TEMPERATURE)  # noqa: E731
        assert stats.kstest(y[:, d], lambda v, each=each: weights @ each(v)).pvalue > 1e-3
    assert frequencies_agree(y > 0, name)  # dimensions belong together


@pytest.mark.parametrize("name", PRIORS)
def test_any_leading_axes(name):
    of_bits, of_grid = results(name)["of_one"]
    np.testing.assert_allclose(of_bits, results(name)["log_mass"][1], rtol=1e-5)
    np.testing.assert_allclose(of_grid, results(name)["log_density"][3, 5], rtol=1e-5)


@pytest.mark.parametrize("name", LEARNED)
def test_relaxed_and_hard_have_the_same_parameters_and_start_as_they_should(name):
    init = lambda prior: prior.init(jax.random.key(0), ALL_BITS, method="log_prob")["params"]  # noqa: E731
    hard, relaxed = jax.jit(lambda: [init(prior) for prior in PRIORS[name]])()
    jax.tree.map(np.testing.assert_array_equal, hard, relaxed)
    assert jax.tree.map(jnp.shape, hard) == jax.tree.map(jnp.shape, PARAMS[name])
    spread = np.min(np.std(np.atleast_2d(hard["logits"]), axis=0))
    assert spread > 0.1 if name == "mixture" else np.all(hard["logits"] == 0)


@pytest.mark.parametrize("name", ["fair", "learned"])
def test_kl_equals_enumeration(name):
    kl = results(name)["kl"]
    assert kl.shape == LOGITS_Q.shape
    for row, got in zip(LOGITS_Q, kl, strict=True):
        q = np.array([stats.bernoulli.pmf(z, special.expit(row)).prod() for z in ALL_BITS])
        np.testing.assert_allclose(got.sum(), np.sum(q * np.log(q / masses(name))), rtol=1e-4)


@pytest.mark.parametrize("name", LEARNED)
def test_extreme_parameters_give_finite_values_and_gradients(name):
    extreme = jax.tree.map(lambda leaf: jnp.array(1e4 * np.sign(leaf), jnp.float32), PARAMS[name])
    y = jnp.array([[0.0, 1.0], [1e4, -1e4]])
    total = lambda params: sum(jnp.sum(bound(prior, params).log_prob(y)) for prior in PRIORS[name])  # noqa: E731
    value, gradient = jax.jit(jax.value_and_grad(total))(extreme)
    assert np.isfinite(value)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("name", LEARNED)
def test_other_dimensions_are_refused(name):
    for prior in PRIORS[name]:
        kind, prior = type(prior).__name__, bound(prior, PARAMS[name])
        with pytest.raises(ValueError, match=rf"z of {kind} has shape \[4, 3\], expected \[4, 2\]"):
            prior.log_prob(jnp.zeros((4, 3)))
        with pytest.raises(ValueError, match=r"\[4, 1\].*expected (\[4, 2\]|2 dimensions)"):
            prior.sample(jax.random.key(0), (4, 1))


@pytest.mark.parametrize("name", PRIORS)
def test_a_temperature_of_zero_is_refused(name):
    zero = priors.relaxed_fair_bernoulli(0.0) if name == "fair" else PRIORS[name][1].clone(temperature=0.0)
    with pytest.raises(ValueError, match="The temperature of relaxed bits is 0.0, expected more than 0"):
        jax.eval_shape(lambda: bound(zero, PARAMS[name]).log_prob(ALL_BITS))
