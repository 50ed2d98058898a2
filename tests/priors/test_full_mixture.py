"""Mixtures with full covariances and priors of two stages: densities by scipy, draws by their moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from jaxvae.flows import CouplingFlow
from jaxvae.priors import FlowPrior, FullMixturePrior, RefittedPrior

DIM, NUM = 2, 3
RNG = np.random.default_rng(0)
PARAMS = {
    "logits": np.array([0.5, -0.3, 0.0]),
    "mean": np.array([[-2.0, 1.0], [3.0, 0.2], [0.0, -4.0]]),
    "log_diagonal": np.array([[0.2, -0.5], [0.7, 0.1], [0.0, 0.4]]),
    "factor": RNG.standard_normal((NUM, DIM, DIM)),  # what is not above the diagonal does not count
}
COVARIANCES = [
    np.linalg.inv(u @ u.T)
    for u in (
        np.diag(np.exp(diagonal)) + np.triu(factor, 1)
        for diagonal, factor in zip(PARAMS["log_diagonal"], PARAMS["factor"], strict=True)
    )
]
WEIGHTS = special.softmax(PARAMS["logits"])
PRIOR = FullMixturePrior(DIM, NUM)
BOUND = PRIOR.bind({"params": jax.tree.map(lambda leaf: jnp.array(leaf, jnp.float32), PARAMS)})


def test_the_density_is_that_of_scipy():
    z = RNG.standard_normal((2, 5, DIM)).astype(np.float32) * 3
    each = [stats.multivariate_normal(m, c).pdf(z) for m, c in zip(PARAMS["mean"], COVARIANCES, strict=True)]
    expected = np.log(sum(w * density for w, density in zip(WEIGHTS, each, strict=True)))
    np.testing.assert_allclose(BOUND.log_prob(z), expected, rtol=1e-4)
    np.testing.assert_allclose(BOUND.log_prob(z[0, 0]), expected[0, 0], rtol=1e-4)


def test_draws_have_the_moments_of_the_mixture():
    z = np.asarray(jax.jit(lambda key: BOUND.sample(key, (40, 1_000, DIM)))(jax.random.key(1)), np.float64)
    z = z.reshape(-1, DIM)
    mean = WEIGHTS @ PARAMS["mean"]
    second = sum(w * (c + np.outer(m, m)) for w, m, c in zip(WEIGHTS, PARAMS["mean"], COVARIANCES, strict=True))
    np.testing.assert_allclose(z.mean(0), mean, atol=0.08)
    np.testing.assert_allclose(z.T @ z / len(z), second, atol=0.3)
    with pytest.raises(ValueError, match="expected 2 dimensions"):
        BOUND.sample(jax.random.key(0), (4, 3))


def test_a_temperature_moves_draws_towards_the_mean_of_their_component():
    z = np.float32(PARAMS["mean"]) + 0.1
    np.testing.assert_allclose(BOUND.tempered(z, 0.5), np.float32(PARAMS["mean"]) + 0.05, atol=1e-6)


@pytest.mark.slow
def test_a_prior_of_two_stages_is_the_learned_one_until_it_is_a_mixture_of_both():
    prior = RefittedPrior(FlowPrior(CouplingFlow(DIM, 2, (4,))), PRIOR, weight=0.7)
    z = jnp.asarray(RNG.standard_normal((7, DIM)), jnp.float32)
    variables = prior.init(jax.random.key(0), z, method="log_prob")
    assert sorted(variables["params"]) == ["fitted", "learned"]
    after = prior.clone(refitted=True)
    assert jax.tree.structure(after.init(jax.random.key(0), z, method="log_prob")) == jax.tree.structure(variables)

    def of(module, name, method, *given):
        return np.asarray(module.apply({"params": variables["params"][name]}, *given, method=method))

    for method, given in (("log_prob", (z,)), ("sample", (jax.random.key(1), (3, DIM))), ("tempered", (z, 0.5))):
        found = prior.apply(variables, *given, method=method)
        np.testing.assert_array_equal(found, of(prior.learned, "learned", method, *given))
    densities = [of(prior.fitted, "fitted", "log_prob", z), of(prior.learned, "learned", "log_prob", z)]
    expected = np.log(0.7 * np.exp(densities[0]) + 0.3 * np.exp(densities[1]))
    np.testing.assert_allclose(after.apply(variables, z, method="log_prob"), expected, rtol=1e-5)
    tempered = [of(prior.fitted, "fitted", "tempered", z, 0.5), of(prior.learned, "learned", "tempered", z, 0.5)]
    nearer = 0.7 * np.exp(densities[0]) > 0.3 * np.exp(densities[1])
    assert 0 < nearer.sum() < 7
    expected = np.where(nearer[:, None], *tempered)
    np.testing.assert_allclose(after.apply(variables, z, 0.5, method="tempered"), expected, rtol=1e-5)


@pytest.mark.slow
def test_draws_of_a_prior_of_two_stages_are_of_both_by_their_weights():
    far = {"logits": jnp.zeros(1), "mean": jnp.full((1, DIM), 50.0)}
    far |= {"log_diagonal": jnp.zeros((1, DIM)), "factor": jnp.zeros((1, DIM, DIM))}
    prior = RefittedPrior(FlowPrior(CouplingFlow(DIM, 2, (4,))), FullMixturePrior(DIM, 1), refitted=True, weight=0.7)
    variables = prior.init(jax.random.key(0), jnp.zeros((1, DIM)), method="log_prob")
    variables = {"params": {**variables["params"], "fitted": far}}
    z = np.asarray(prior.apply(variables, jax.random.key(2), (100, 40, DIM), method="sample"))
    is_far = z > 25
    assert (is_far[..., 0] == is_far[..., 1]).all()
    np.testing.assert_allclose(is_far.mean(), 0.7, atol=4 * np.sqrt(0.21 / 4_000))
    np.testing.assert_allclose(z[is_far].mean(), 50, atol=0.1)
