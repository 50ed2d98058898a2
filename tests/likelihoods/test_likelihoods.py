"""Properties that every likelihood has: add a line to the table for a new one."""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae import likelihoods
from jaxvae.nets import MLP, ConvDecoder, ImageDecoder

NUM_SAMPLES = 20_000
NUM_DRAWS = 64  # of parameters
STEP = np.float32(1e-2)  # of finite differences
NO_VALUES = (-1.0, 0.5, 3.0)  # of pixels that are 0 to 2


class Case(NamedTuple):
    make: Callable
    values: int | None = None  # V, None for a density
    shape: tuple[int, ...] = (2, 2, 1)
    ends: tuple[float, float] = (0.0, 1.0)  # of the x that count, for a density
    bias: float = 10.0  # that every parameter of a new decoder is below
    mean: float = 1e-5  # error of the mean


CASES = {
    "bernoulli": Case(likelihoods.bernoulli, 2),
    "bernoulli_mixture": Case(functools.partial(likelihoods.bernoulli_mixture, 3), 2),
    "categorical": Case(functools.partial(likelihoods.categorical, 3), 3),
    "beta_binomial": Case(functools.partial(likelihoods.beta_binomial, 3), 3),
    "logistic_mixture": Case(functools.partial(likelihoods.logistic_mixture, 2, 3), 3),
    "logistic_mixture of colours": Case(
        functools.partial(likelihoods.logistic_mixture, 2, 3, num_channels=3), 3, (2, 1, 3), mean=4e-3
    ),
    "continuous_bernoulli": Case(likelihoods.continuous_bernoulli, bias=101.0),
    "gaussian": Case(functools.partial(likelihoods.gaussian, 0.3), ends=(-6.0, 6.0)),
    "gaussian_learned_scale": Case(likelihoods.gaussian_learned_scale, ends=(-20.0, 20.0)),
}
DISCRETE = [name for name, case in CASES.items() if case.values]
DENSITIES = [name for name, case in CASES.items() if not case.values]
INTEGERS = [name for name in DISCRETE if not name.startswith("bernoulli")]
ONE_BY_ONE = [name for name in CASES if name != "bernoulli_mixture"]


def mean_images(case):
    """One of many means, and one of pixels that are all dark or all bright, [2, *shape]."""
    many = np.resize(np.array([0.011, 0.2, 0.5, 0.97], np.float32), case.shape)
    return ((case.values or 2) - 1) * np.stack([many, (many > 0.3).astype(np.float32)])


def all_params(shapes):
    """Usual parameters, a direction, the usual ones moved along it and against it, extreme ones: NUM_DRAWS of each."""
    generator = np.random.default_rng(0)
    usual, direction = (
        jax.tree.map(lambda a: generator.standard_normal((NUM_DRAWS, *a.shape), np.float32), shapes) for _ in range(2)
    )
    high, low = (jax.tree.map(lambda p, d, s=sign: p + s * STEP * d, usual, direction) for sign in (1, -1))

    def extreme(leaf):
        # All alike in the first draws, mixed in the others.
        values = np.array([-1e4, 1e4, 0.0, -100.0, 100.0], np.float32)
        choices = generator.integers(0, 5, (NUM_DRAWS, *leaf.shape))
        choices[:5] = np.arange(5).reshape((5,) + (1,) * len(leaf.shape))
        return values[choices]

    return direction, jax.tree.map(lambda *a: np.concatenate(a), usual, high, low, jax.tree.map(extreme, shapes))


@functools.cache
def evaluated(name):
    """All that a likelihood makes of parameters, in one program: compiling is most of the time of these tests.

    Besides the gradients for `all_params`, what the first of them give: probabilities of all images, which are flat
    here, and of three that are none, or for a density those of a grid of values of the first pixel; and samples.
    """
    case = CASES[name]
    likelihood = case.make()
    if case.values:
        images = np.array(list(itertools.product(range(case.values), repeat=np.prod(case.shape))), np.float32)
        none = np.repeat(images[:1], len(NO_VALUES), axis=0)
        none[:, -1] = NO_VALUES
        scored = np.concatenate([images, none]).reshape(-1, *case.shape)
    else:
        images = np.array(list(itertools.product([0.0, 0.3, 1.0], repeat=np.prod(case.shape))), np.float32)
        scored = np.linspace(*case.ends, 4001, dtype=np.float32)[:, None]
    direction, params = all_params(likelihood.param_shapes(case.shape))
    x = np.resize(np.random.default_rng(1).permutation(images), (4 * NUM_DRAWS, images.shape[1]))
    x[NUM_DRAWS : 3 * NUM_DRAWS] = np.tile(x[:NUM_DRAWS], (2, 1))  # of finite differences
    drawn = np.array([0] * NUM_SAMPLES + list(range(3 * NUM_DRAWS, 4 * NUM_DRAWS)))

    def with_sum(params):
        mean = likelihood.mean(params)
        return jnp.sum(mean), mean

    @jax.jit
    def program(keys, params, x, scored, means):
        first = jax.tree.map(lambda a: a[0], params)
        pixels = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), (first, x[0]))
        bias = jax.vmap(likelihood.init_bias)(means)
        return {
            "log_p and gradients": jax.vmap(jax.value_and_grad(likelihood.log_prob, argnums=(0, 1)))(params, x),
            "means and gradients": jax.vmap(jax.value_and_grad(with_sum, has_aux=True))(params),
            "log_pmf": likelihood.log_pmf and jax.vmap(likelihood.log_pmf)(params),
            "samples": jax.vmap(likelihood.sample)(keys, jax.tree.map(lambda a: a[drawn], params)),
            "log_p of scored": jax.vmap(likelihood.log_prob, in_axes=(None, 0))(
                first if case.values else jax.tree.map(lambda a: a[0], pixels[0]), scored
            ),
            "log_p of integers": likelihood.log_prob(first, x[0].astype(jnp.uint8)) if name in INTEGERS else None,
            "log_p of pixels": jax.vmap(likelihood.log_prob)(*pixels) if name in ONE_BY_ONE else None,
            "bias": bias,
            "mean of bias": jax.vmap(likelihood.mean)(bias),
        }

    keys = jax.random.split(jax.random.key(1), len(drawn))
    results = program(keys, params, x.reshape(-1, *case.shape), scored, mean_images(case))
    results = jax.tree.map(lambda a: np.asarray(a, np.float64), results)
    return {"images": images, "grid": scored, "direction": direction, **results}


def probabilities(name):
    return np.exp(evaluated(name)["log_p of scored"][: len(evaluated(name)["images"])])


# ---------- shapes


@pytest.mark.parametrize("name", CASES)
def test_shapes_and_dtypes(name):
    case = CASES[name]
    likelihood = case.make()
    # One pixel too, as a sampler draws them one after another.
    for shape in (case.shape, case.shape[2:]):
        params = likelihood.param_shapes(shape)
        x = jax.eval_shape(likelihood.sample, jax.random.key(0), params)
        assert (x.shape, x.dtype) == (shape, jnp.float32)
        assert jax.eval_shape(likelihood.log_prob, params, x).shape == ()
        assert jax.eval_shape(likelihood.mean, params) == x
        if likelihood.log_pmf is not None:
            assert jax.eval_shape(likelihood.log_pmf, params).shape == (*shape, case.values)
        bias = jax.eval_shape(likelihood.init_bias, x)
        assert jax.tree.map(lambda a: (a.shape, a.dtype), bias) == jax.tree.map(lambda a: (a.shape, a.dtype), params)


@pytest.mark.parametrize("net", [MLP((4,)), ConvDecoder((4,), (4, 6, 3))], ids=["dense", "convolutional"])
@pytest.mark.parametrize("name", ["bernoulli_mixture", "logistic_mixture of colours", "beta_binomial"])
def test_a_decoder_reads_the_parameters(name, net):
    shapes = CASES[name].make().param_shapes((4, 6, 3))
    params, _ = jax.eval_shape(ImageDecoder(net, shapes).init_with_output, jax.random.key(0), jnp.ones((2, 5, 7)))
    assert jax.tree.map(lambda a: a.shape, params) == jax.tree.map(lambda a: (2, 5, *a.shape), shapes)


# ---------- probabilities


@pytest.mark.parametrize("name", CASES)
def test_a_probability_mass_is_told_from_a_density(name):
    assert CASES[name].make().discrete == (name in DISCRETE)


@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities_of_all_images_sum_to_one_and_give_the_mean(name):
    p, results = probabilities(name), evaluated(name)
    np.testing.assert_allclose(p.sum(), 1.0, rtol=1e-5)
    (_, mean), _ = results["means and gradients"]
    np.testing.assert_allclose(mean[0].ravel(), p @ results["images"], rtol=0.0, atol=CASES[name].mean)


@pytest.mark.parametrize("name", DISCRETE)
def test_log_pmf_sums_to_one_and_is_of_independent_pixels(name):
    images, log_pmf = evaluated(name)["images"], evaluated(name)["log_pmf"]
    if log_pmf is None:
        assert name in ("bernoulli_mixture", "logistic_mixture of colours")
        return
    np.testing.assert_allclose(np.exp(log_pmf).sum(-1), np.ones(log_pmf.shape[:-1]), rtol=1e-4)
    of_pixels = log_pmf[0].reshape(images.shape[1], -1)[np.arange(images.shape[1])[None], images.astype(int)]
    np.testing.assert_allclose(np.log(probabilities(name)), of_pixels.sum(1), rtol=1e-4)


@pytest.mark.parametrize("name", DISCRETE)
def test_samples_have_the_probabilities_of_images(name):
    # Of whole images, as pixels may depend on each other.
    images, p = evaluated(name)["images"], probabilities(name)
    drawn = evaluated(name)["samples"][:NUM_SAMPLES].reshape(NUM_SAMPLES, -1)
    index = np.ravel_multi_index(drawn.T.astype(int), (CASES[name].values,) * drawn.shape[1])
    np.testing.assert_array_equal(images[index], drawn)
    frequencies = np.bincount(index, minlength=len(p)) / NUM_SAMPLES
    assert np.all(np.abs(frequencies - p) < 4.5 * np.sqrt(p * (1.0 - p) / NUM_SAMPLES) + 1.0 / NUM_SAMPLES)


@pytest.mark.parametrize("name", CASES)
def test_samples_have_the_mean(name):
    drawn, ((_, mean), _) = evaluated(name)["samples"][:NUM_SAMPLES], evaluated(name)["means and gradients"]
    assert np.all(np.abs(drawn.mean(0) - mean[0]) < 4.0 * drawn.std(0) / np.sqrt(NUM_SAMPLES))


@pytest.mark.parametrize("name", DENSITIES)
def test_density_integrates_to_one_and_gives_mean_and_samples(name):
    results = evaluated(name)
    grid, density = results["grid"][:, 0].astype(np.float64), np.exp(results["log_p of scored"])
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))])
    np.testing.assert_allclose(cumulative[-1], 1.0, rtol=1e-4)
    (_, mean), _ = results["means and gradients"]
    np.testing.assert_allclose(mean[0, 0, 0], np.trapezoid(density * grid, grid)[None], rtol=1e-4)
    # The distance of Kolmogorov and Smirnov: one set of samples in a thousand has a larger one.
    drawn = np.sort(results["samples"][:NUM_SAMPLES, 0, 0, 0])
    ranks = np.arange(NUM_SAMPLES) / NUM_SAMPLES
    assert np.max(np.abs(np.interp(drawn, grid, cumulative) - ranks)) < 1.95 / np.sqrt(NUM_SAMPLES)


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_an_image_has_the_probability_of_its_pixels_one_by_one(name):
    results = evaluated(name)
    np.testing.assert_allclose(results["log_p and gradients"][0][0], results["log_p of pixels"].sum(), rtol=1e-5)


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_of_any_type_and_nothing_else(name):
    results = evaluated(name)
    np.testing.assert_allclose(results["log_p of integers"], results["log_p and gradients"][0][0], rtol=1e-6)
    np.testing.assert_array_equal(results["log_p of scored"][-len(NO_VALUES) :], np.full(len(NO_VALUES), -np.inf))


# ---------- gradients


@pytest.mark.parametrize("name", CASES)
def test_gradient_equals_finite_differences(name):
    log_p, (gradients, _) = evaluated(name)["log_p and gradients"]
    _, high, low, _ = log_p.reshape(4, NUM_DRAWS)
    products = jax.tree.map(
        lambda g, d: np.sum(g[:NUM_DRAWS] * d, axis=tuple(range(1, d.ndim))), gradients, evaluated(name)["direction"]
    )
    np.testing.assert_allclose(sum(jax.tree.leaves(products)), (high - low) / (2.0 * STEP), rtol=1e-2, atol=2e-2)


@pytest.mark.parametrize("name", CASES)
def test_extreme_parameters_give_finite_values_and_gradients(name):
    results = evaluated(name)
    log_p, gradients = results["log_p and gradients"]
    assert CASES[name].values is None or np.all(log_p <= 0.0)
    others = (results["means and gradients"], results["log_pmf"], results["samples"])
    for leaf in jax.tree.leaves((log_p, gradients, others)):
        assert np.all(np.isfinite(leaf))


# ---------- a new decoder


@pytest.mark.parametrize("name", CASES)
def test_init_bias_has_the_given_mean(name):
    case, results = CASES[name], evaluated(name)
    np.testing.assert_allclose(results["mean of bias"][0], mean_images(case)[0], rtol=0.0, atol=case.mean)
    assert all(np.all(np.abs(leaf) < case.bias) for leaf in jax.tree.leaves(results["bias"]))


# ---------- mistakes


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (likelihoods.gaussian, [float("nan")], "gaussian needs a finite sigma > 0, got nan"),
        (likelihoods.gaussian, [0.0], "gaussian needs a finite sigma > 0, got 0.0"),
        (likelihoods.gaussian, [float("inf")], "gaussian needs a finite sigma > 0, got inf"),
        (likelihoods.gaussian_learned_scale, [-1.0], "gaussian_learned_scale needs a finite min_sigma > 0, got -1.0"),
        (likelihoods.bernoulli_mixture, [0], "bernoulli_mixture has num_components 0, expected at least 1"),
        (likelihoods.categorical, [1], "categorical has num_values 1, expected at least 2"),
        (likelihoods.beta_binomial, [1], "beta_binomial has num_values 1, expected at least 2"),
        (likelihoods.logistic_mixture, [0], "logistic_mixture has num_components 0, expected at least 1"),
        (likelihoods.logistic_mixture, [5, 1], "logistic_mixture has num_values 1, expected at least 2"),
        (likelihoods.logistic_mixture, [5, 256, 0], "logistic_mixture has num_channels 0, expected at least 1"),
    ],
)
def test_mistakes_are_named(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(*arguments)
