"""Properties that every likelihood has: add a line to the table for a new one."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxvae import likelihoods

LIKELIHOODS = {
    "bernoulli": likelihoods.bernoulli,
    "gaussian": likelihoods.gaussian,
    "gaussian_narrow": functools.partial(likelihoods.gaussian, sigma=0.1),
}
DISCRETE = [name for name, make in LIKELIHOODS.items() if make().log_pmf is not None]
GAUSSIAN = {"gaussian": 1.0, "gaussian_narrow": 0.1}
SHAPE = (2, 2, 1)


def random_params(likelihood, shape=SHAPE, seed=0):
    leaves, tree = jax.tree.flatten(likelihood.param_shapes(shape))
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    arrays = [jax.random.normal(key, leaf.shape, leaf.dtype) for key, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(tree, arrays)


def samples_of(likelihood, params, num):
    keys = jax.random.split(jax.random.key(1), num)
    return np.asarray(jax.jit(jax.vmap(likelihood.sample, in_axes=(0, None)))(keys, params))


# ---------- properties


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_likelihood_shapes_and_dtypes(name):
    likelihood = LIKELIHOODS[name]()
    params = random_params(likelihood)
    x = likelihood.sample(jax.random.key(0), params)
    assert x.shape == SHAPE
    assert x.dtype == jnp.float32
    assert likelihood.mean(params).shape == SHAPE
    assert likelihood.log_prob(params, x).shape == ()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_param_shapes_are_those_of_one_image(name):
    # One number for each pixel; likelihoods with more parameters get a line of their own.
    shape = LIKELIHOODS[name]().param_shapes((5, 3, 2))
    assert shape == jax.ShapeDtypeStruct((5, 3, 2), jnp.float32)


@pytest.mark.parametrize("name", DISCRETE)
def test_log_pmf_sums_to_one(name):
    likelihood = LIKELIHOODS[name]()
    pmf = np.exp(likelihood.log_pmf(random_params(likelihood)))
    assert pmf.shape[:-1] == SHAPE
    np.testing.assert_allclose(pmf.sum(-1), np.ones(SHAPE), rtol=1e-6)


@pytest.mark.parametrize("name", DISCRETE)
def test_log_prob_is_the_sum_of_log_pmf_and_sums_to_one_over_all_images(name):
    likelihood = LIKELIHOODS[name]()
    params = random_params(likelihood)
    log_pmf = np.asarray(likelihood.log_pmf(params)).reshape(-1, likelihood.log_pmf(params).shape[-1])
    log_prob = jax.jit(likelihood.log_prob)
    total = 0.0
    for values in itertools.product(range(log_pmf.shape[-1]), repeat=log_pmf.shape[0]):
        got = float(log_prob(params, jnp.array(values, jnp.float32).reshape(SHAPE)))
        np.testing.assert_allclose(got, sum(log_pmf[i, v] for i, v in enumerate(values)), rtol=1e-5)
        total += np.exp(got)
    np.testing.assert_allclose(total, 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", DISCRETE)
def test_sample_frequencies_are_the_pmf(name):
    likelihood, num = LIKELIHOODS[name](), 10_000
    params = random_params(likelihood)
    pmf = np.exp(np.asarray(likelihood.log_pmf(params), np.float64))
    x = samples_of(likelihood, params, num)
    frequencies = np.stack([np.mean(x == value, axis=0) for value in range(pmf.shape[-1])], axis=-1)
    np.testing.assert_allclose(frequencies.sum(-1), np.ones(SHAPE), rtol=1e-6)
    assert np.all(np.abs(frequencies - pmf) < 4.0 * np.sqrt(pmf * (1.0 - pmf) / num))


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_mean_equals_the_mean_of_samples(name):
    likelihood, num = LIKELIHOODS[name](), 10_000
    params = random_params(likelihood)
    x = samples_of(likelihood, params, num)
    assert np.all(np.abs(x.mean(0) - likelihood.mean(params)) < 4.0 * x.std(0) / np.sqrt(num))


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_init_bias_has_the_given_mean(name):
    likelihood = LIKELIHOODS[name]()
    mean = jnp.array([0.01, 0.2, 0.5, 0.97]).reshape(SHAPE)
    bias = likelihood.init_bias(mean)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), bias) == jax.tree.map(
        lambda a: (a.shape, a.dtype), likelihood.param_shapes(SHAPE)
    )
    np.testing.assert_allclose(likelihood.mean(bias), mean, rtol=1e-5)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_init_bias_of_constant_pixels_is_moderate(name):
    bias = LIKELIHOODS[name]().init_bias(jnp.array([0.0, 1.0, 0.0, 1.0]).reshape(SHAPE))
    assert all(np.all(np.abs(leaf) < 10.0) for leaf in jax.tree.leaves(bias))


@pytest.mark.parametrize("value", [-1e4, -100.0, 100.0, 1e4])
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_extreme_parameters_give_finite_values_and_gradients(name, value):
    likelihood = LIKELIHOODS[name]()
    params = jax.tree.map(lambda leaf: jnp.full(leaf.shape, value, leaf.dtype), likelihood.param_shapes(SHAPE))
    for x in (jnp.zeros(SHAPE), jnp.ones(SHAPE)):
        log_prob, gradients = jax.value_and_grad(likelihood.log_prob, argnums=(0, 1))(params, x)
        assert np.isfinite(log_prob)
        assert log_prob <= 0.0 or name in GAUSSIAN
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradients))
    outputs = [likelihood.mean, *([likelihood.log_pmf] if likelihood.log_pmf else [])]
    for function in outputs:
        gradient = jax.grad(lambda p, function=function: jnp.sum(function(p)))(params)
        assert np.all(np.isfinite(function(params)))
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))
    assert np.all(np.isfinite(likelihood.sample(jax.random.key(0), params)))


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_log_prob_gradient_equals_finite_differences(name):
    likelihood = LIKELIHOODS[name]()
    params = random_params(likelihood)
    x = likelihood.sample(jax.random.key(2), params)
    direction = random_params(likelihood, seed=3)
    step = 1e-2
    shifted = [
        likelihood.log_prob(jax.tree.map(lambda p, d, s=sign: p + s * step * d, params, direction), x)
        for sign in (1.0, -1.0)
    ]
    gradient = jax.grad(likelihood.log_prob)(params, x)
    slope = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    np.testing.assert_allclose(slope, (shifted[0] - shifted[1]) / (2.0 * step), rtol=5e-3, atol=1e-3)


# ---------- formulas


def test_bernoulli_log_prob_of_hand_worked_image():
    # Probabilities 1/2, 3/4, 1/4, 4/5 of a one; image 1, 1, 0, 0: 1/2 * 3/4 * 3/4 * 1/5.
    logits = jnp.log(jnp.array([1.0, 3.0, 1.0 / 3.0, 4.0])).reshape(SHAPE)
    x = jnp.array([1.0, 1.0, 0.0, 0.0]).reshape(SHAPE)
    np.testing.assert_allclose(likelihoods.bernoulli().log_prob(logits, x), np.log(9.0 / 160.0), rtol=1e-6)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 2.5])
def test_gaussian_log_prob_equals_scipy(sigma):
    mean = np.array([0.2, -1.0, 0.7, 0.0], np.float32).reshape(SHAPE)
    x = np.array([0.3, -1.3, 0.7, 0.5], np.float32).reshape(SHAPE)
    expected = stats.norm.logpdf(x, mean, sigma).sum()
    got = likelihoods.gaussian(sigma).log_prob(jnp.array(mean), jnp.array(x))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_gaussian_log_prob_is_half_the_squared_error_plus_a_constant():
    # The likelihood of the mean squared error: differences of log p are differences of -1/2 sum (x - mean)^2.
    mean, x = jnp.array([0.0, 1.0]), jnp.array([3.0, -1.0])
    likelihood = likelihoods.gaussian()
    np.testing.assert_allclose(likelihood.log_prob(mean, mean), -np.log(2.0 * np.pi), rtol=1e-6)
    np.testing.assert_allclose(likelihood.log_prob(mean, x) - likelihood.log_prob(mean, mean), -6.5, rtol=1e-6)


@pytest.mark.parametrize("name", GAUSSIAN)
def test_gaussian_density_integrates_to_one(name):
    likelihood, sigma = LIKELIHOODS[name](), GAUSSIAN[name]
    grid = jnp.linspace(0.4 - 8.0 * sigma, 0.4 + 8.0 * sigma, 2001)
    log_density = jax.vmap(lambda x: likelihood.log_prob(jnp.array([0.4]), x[None]))(grid)
    np.testing.assert_allclose(np.trapezoid(np.exp(log_density), grid), 1.0, rtol=1e-4)


@pytest.mark.parametrize("name", GAUSSIAN)
def test_gaussian_samples_have_the_standard_deviation(name):
    likelihood, sigma, num = LIKELIHOODS[name](), GAUSSIAN[name], 10_000
    x = samples_of(likelihood, random_params(likelihood), num)
    assert np.all(np.abs(x.std(0) / sigma - 1.0) < 4.0 / np.sqrt(2.0 * num))


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf")])
def test_gaussian_refuses_sigma(sigma):
    with pytest.raises(ValueError, match=f"gaussian needs a finite sigma > 0, got {sigma}"):
        likelihoods.gaussian(sigma)
