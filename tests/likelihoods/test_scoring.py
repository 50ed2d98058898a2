"""Parameters of another shape than x asks for, and pixels that are impossible: refused, or of probability zero."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae import distributions, likelihoods
from jaxvae.errors import UserError
from jaxvae.likelihoods.scoring import perfect_pixels, score_images, score_pixels

SHAPE = (8, 8, 1)
MAKERS = {
    "bernoulli": likelihoods.bernoulli,
    "bernoulli_mixture": functools.partial(likelihoods.bernoulli_mixture, 2),
    "beta_binomial": functools.partial(likelihoods.beta_binomial, 4),
    "categorical": functools.partial(likelihoods.categorical, 4),
    "continuous_bernoulli": likelihoods.continuous_bernoulli,
    "gaussian": functools.partial(likelihoods.gaussian, 0.1),
    "gaussian_learned_scale": likelihoods.gaussian_learned_scale,
    "in_unit": lambda: likelihoods.in_unit(likelihoods.categorical(4), 4),
    "logistic_mixture": functools.partial(likelihoods.logistic_mixture, 2, 4),
    "squared_error": likelihoods.squared_error,
}
# Values just outside of what a pixel can be, and far outside; of any number there is none.
IMPOSSIBLE = {
    "bernoulli": (-1e-3, 1.001, 255.0),
    "bernoulli_mixture": (-1e-3, 1.001, 255.0),
    "beta_binomial": (-1.0, 4.0, 1.5, 255.0),
    "categorical": (-1.0, 4.0, 1.5, 255.0),
    "continuous_bernoulli": (-1e-3, 1.001, 255.0),
    "in_unit": (-1e-3, 1.001, 3.0),
    "logistic_mixture": (-1.0, 4.0, 1.5, 255.0),
}
POSSIBLE = {"beta_binomial": 3.0, "categorical": 3.0, "logistic_mixture": 3.0}  # of the others 1


def zeros(likelihood, shape=SHAPE):
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), likelihood.param_shapes(shape))


@pytest.mark.parametrize("name", MAKERS)
def test_parameters_that_would_broadcast_are_refused(name):
    likelihood, x = MAKERS[name](), jnp.ones(SHAPE)
    right = zeros(likelihood)
    assert jax.eval_shape(likelihood.log_prob, right, x).shape == ()
    leaves, structure = jax.tree.flatten(right)
    for shape in ((leaves[-1].size,), leaves[-1].shape[1:], (1, *leaves[-1].shape)):
        wrong = jax.tree.unflatten(structure, [*leaves[:-1], jnp.zeros(shape)])
        with pytest.raises(UserError, match=rf"of shape \[{', '.join(map(str, shape))}\], expected"):
            likelihood.log_prob(wrong, x)


@pytest.mark.parametrize("name", sorted({*MAKERS} - {"logistic_mixture", "bernoulli_mixture"}))
def test_images_without_their_channel_are_refused(name):
    likelihood = MAKERS[name]()
    with pytest.raises(UserError, match=r", as an image of \[8, 8\]: reshape whichever"):
        likelihood.log_prob(zeros(likelihood), jnp.ones((8, 8)))


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible_pixels_have_probability_zero(name):
    likelihood = MAKERS[name]()
    x = np.full((1 + len(IMPOSSIBLE[name]) + 1, *SHAPE), POSSIBLE.get(name, 1.0), np.float32)
    x[1:-1, 3, 5, 0] = IMPOSSIBLE[name]
    x[-1, 7, 7, 0] = np.nan
    params = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.3), likelihood.param_shapes(SHAPE))
    values = jax.jit(jax.vmap(likelihood.log_prob, (None, 0)))(params, x)
    assert np.isfinite(values[0])
    np.testing.assert_array_equal(values[1:], -np.inf)


def test_bernoulli_of_possible_pixels_is_the_cross_entropy_bit_for_bit_and_finite_at_the_ends():
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((6, *SHAPE), np.float32) * np.float32(30)
    logits[3], logits[4] = 1e4, -1e4
    x = generator.random((6, *SHAPE), np.float32)
    x[1], x[2] = 0.0, 1.0
    both = lambda log_prob: jax.jit(jax.vmap(jax.value_and_grad(log_prob, argnums=(0, 1))))(logits, x)  # noqa: E731
    found, expected = both(likelihoods.bernoulli().log_prob), []
    jax.tree.map(np.testing.assert_array_equal, found, both(distributions.bernoulli_log_prob))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found))
    for one, pixels in zip(np.float64(logits), np.float64(x), strict=True):
        expected.append(-np.sum(pixels * np.logaddexp(0.0, -one) + (1 - pixels) * np.logaddexp(0.0, one)))
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_bernoulli_takes_integers_and_booleans_of_its_values():
    x, log_prob = jnp.ones(SHAPE), likelihoods.bernoulli().log_prob
    logits = jnp.full(SHAPE, 0.7)
    for other in (x.astype(jnp.uint8), x.astype(bool)):
        np.testing.assert_allclose(log_prob(logits, other), log_prob(logits, x), rtol=1e-6)
    assert log_prob(logits, 255 * x.astype(jnp.uint8)) == -np.inf


def test_score_images_maps_over_examples_and_samples():
    likelihood, generator = likelihoods.gaussian(0.5), np.random.default_rng(0)
    mean, x = generator.random((4, 2, 3, *SHAPE), np.float32), generator.random((3, *SHAPE), np.float32)
    scores = score_images(likelihood, mean, x, (4, 2, 3))
    for index in np.ndindex(4, 2, 3):
        np.testing.assert_allclose(scores[index], likelihood.log_prob(mean[index], x[index[-1]]), rtol=1e-5)
    np.testing.assert_allclose(score_images(likelihood, mean[1, 1], x), scores[1, 1], rtol=1e-6)
    with pytest.raises(
        UserError, match=r"decoder gives parameters of shape \[2, 3, 8, 8, 1\], expected \[3, 8, 8, 1\]"
    ):
        score_images(likelihood, mean[1], x)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"bernoulli_mixture"}))
def test_scores_of_pixels_sum_to_those_of_images(name):
    likelihood, shape, rng = MAKERS[name](), (4, 5, 1), np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(size=(3, *leaf.shape)), likelihood.param_shapes(shape))
    x = jax.vmap(likelihood.sample)(jax.random.split(jax.random.key(0), 3), params)
    found = score_pixels(likelihood, params, x)
    assert found.shape == (3, 4, 5)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), score_images(likelihood, params, x), rtol=1e-5)


@pytest.mark.parametrize("name", ["bernoulli", "continuous_bernoulli"])
def test_no_parameters_suit_a_pixel_better_than_the_perfect_ones(name):
    likelihood = MAKERS[name]()
    x = np.linspace(0.02, 0.98, 9, dtype=np.float32).reshape(1, 3, 3, 1)
    logits = np.linspace(-60, 60, 12_001, dtype=np.float32)
    of_pixel = jax.vmap(lambda pixel: jax.vmap(lambda logit: likelihood.log_prob(logit, pixel))(logits).max())
    found = perfect_pixels(likelihood, x)
    np.testing.assert_allclose(found.ravel(), of_pixel(x.ravel()), atol=1e-4)
    np.testing.assert_allclose(likelihood.perfect(x[0]), found.sum(), rtol=1e-6)


def test_perfect_reconstructions_of_binary_pixels_and_of_integers_are_certain():
    np.testing.assert_array_equal(perfect_pixels(likelihoods.bernoulli(), np.float32([[[[0], [1]]]])), 0)
    np.testing.assert_array_equal(perfect_pixels(MAKERS["in_unit"](), np.float32([[[[0.3], [1]]]])), 0)
