"""Completions by VAEs against conditional distributions that are known in closed form."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from jaxvae.capabilities import Completes, ScoresCompletions, find, require
from jaxvae.flows import AutoregressiveFlow, PlanarFlow
from jaxvae.likelihoods import bernoulli, bernoulli_mixture
from jaxvae.models import VAE, HierarchicalVAE
from jaxvae.nets import MLP, AutoregressiveDecoder, ImageDecoder, MLPEncoder, PixelCNN
from jaxvae.posteriors import BernoulliPosterior, FlowPosterior, GaussianPosterior, MatchedPosterior, MixturePosterior
from jaxvae.priors import BernoulliPrior, MixturePrior, standard_normal
from jaxvae.systems.assemble import loaded
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vae_completion import proposal_of
from jaxvae.systems.vae_parts import VAEParts
from jaxvae.types import DataSpec
from tests.linear import SHAPE, SIGMA, B, Flat, W, linear_images, linear_system

KNOWN = np.array([True, False, True, True, False, False]).reshape(2, 3)
NUM = 3000
TWO_KNOWN, TWO = np.array([[True, False], [False, True]]), np.array([1, 0, 0, 0], np.float32).reshape(2, 2, 1)


def completions(system, params, x, known=KNOWN, seed=0, copies=NUM):
    """Completions of as many copies of one image, drawn ones and means, [N, pixels]."""
    keys = jax.random.split(jax.random.key(seed), copies)
    x, known = jnp.broadcast_to(x, (copies, *x.shape)), jnp.broadcast_to(known, (copies, *known.shape))
    complete = jax.jit(require(system, Completes).complete, static_argnums=6)
    return jax.tree.map(
        lambda leaf: np.asarray(leaf).reshape(copies, -1), complete(params, {}, keys, x, None, known, 1)
    )


def conditional(x):
    """Mean and covariance of the unknown pixels of the linear model given the known ones."""
    covariance, k = W @ W.T + SIGMA**2 * np.eye(6), KNOWN.ravel()
    gain = covariance[~k][:, k] @ np.linalg.inv(covariance[k][:, k])
    mean = B[~k] + gain @ (x.ravel()[k] - B[k])
    return mean, covariance[~k][:, ~k] - gain @ covariance[k][:, ~k]


@pytest.mark.slow
@pytest.mark.parametrize("bias", [0.0, 0.6], ids=["exact q(z | x)", "biased and wide q(z | x)"])
def test_a_linear_vae_completes_by_the_conditional_gaussian(bias):
    system, params = linear_system()
    statistics = params["posterior"]["statistics"]
    off = {**statistics, "bias": statistics["bias"] + jnp.float32(bias)}
    params = {**params, "posterior": {"statistics": off}}
    x, unknown = linear_images(1, seed=5)[0], ~KNOWN.ravel()
    drawn, means = (found[:, unknown] for found in completions(system, params, x))
    mean, covariance = conditional(x)
    error = np.sqrt(np.diag(covariance) / NUM)
    assert np.all(np.abs(drawn.mean(axis=0) - mean) < 4 * error)
    assert np.all(np.abs(means.mean(axis=0) - mean) < 4 * error)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=6 * np.max(covariance) / np.sqrt(NUM))
    of_means = covariance - SIGMA**2 * np.eye(3)
    np.testing.assert_allclose(np.cov(means.T), of_means, atol=6 * np.max(covariance) / np.sqrt(NUM))


def bits_system(scale=2.0, **parts):
    """Two bits and four binary pixels, with parameters of some size; q(z | x) is not the posterior."""
    spec, likelihood = DataSpec((2, 2, 1), 2, 0), bernoulli()
    decoder = ImageDecoder(MLP((3,), nn.tanh), likelihood.param_shapes(spec.shape))
    parts = {
        "encoder": Flat(),
        "posterior": BernoulliPosterior(2),
        "decoder": decoder,
        "prior": BernoulliPrior(2),
    } | parts
    vae = VAE(likelihood=likelihood, **parts)
    system = loaded("bits", VAEParts(spec, vae, binary_pixels(spec)), {})
    shapes = jax.eval_shape(vae.init, jax.random.key(0), jax.random.split(jax.random.key(0), 1), jnp.ones((1, 2, 2, 1)))
    generator = np.random.default_rng(4)
    params = jax.tree.map(lambda leaf: jnp.asarray(scale * generator.standard_normal(leaf.shape)), shapes["params"])
    return system, vae, params


@pytest.mark.slow
def test_a_vae_of_bits_completes_by_the_probabilities_of_all_images():
    system, vae, params = bits_system()
    every_z = jnp.array(list(itertools.product((0.0, 1.0), repeat=2)))
    logits = vae.apply({"params": params}, every_z, method="decode").reshape(4, 4)
    p_z = np.exp(vae.apply({"params": params}, every_z, method="log_prior"))
    every_x = np.array(list(itertools.product((0, 1), repeat=4)))
    p_pixels = np.where(every_x[:, None] == 1, jax.nn.sigmoid(logits), jax.nn.sigmoid(-logits))  # [16, 4, 4]
    p_x = p_pixels.prod(axis=2) @ p_z
    matches = (every_x[:, [0, 3]] == TWO.ravel()[[0, 3]]).all(axis=1)
    expected = np.where(matches, p_x, 0) / p_x[matches].sum()
    assert np.sort(expected)[-2] > 0.05  # of some images, not of one
    drawn, _ = completions(system, params, TWO, TWO_KNOWN)
    unlike = np.where(
        TWO_KNOWN[..., None], TWO, 7.0
    )  # values of unknown pixels do not matter, those of no image either
    np.testing.assert_array_equal(completions(system, params, unlike, TWO_KNOWN)[0], drawn)
    found = np.bincount(drawn.astype(int) @ [8, 4, 2, 1], minlength=16) / NUM
    np.testing.assert_allclose(found, expected, atol=4 * np.sqrt(0.25 / NUM))


@pytest.mark.slow
def test_log_p_of_unknown_pixels_is_that_of_all_images():
    """And the completions cover the images by it: the mean of exp over them is as by enumeration."""
    system, vae, params = bits_system()
    every_z = jnp.array(list(itertools.product((0.0, 1.0), repeat=2)))
    logits = vae.apply({"params": params}, every_z, method="decode").reshape(4, 4)
    p_z = np.exp(vae.apply({"params": params}, every_z, method="log_prior"))
    every_x = np.array(list(itertools.product((0, 1), repeat=4)), np.float32)
    p_x = np.where(every_x[:, None] == 1, jax.nn.sigmoid(logits), jax.nn.sigmoid(-logits)).prod(axis=2) @ p_z
    same = (every_x[:, None, [0, 3]] == every_x[None][:, :, [0, 3]]).all(axis=2)
    expected = np.log(p_x) - np.log(np.where(same, p_x, 0).sum(axis=1))
    keys, known = jax.random.split(jax.random.key(0), 16), jnp.broadcast_to(TWO_KNOWN, (16, 2, 2))
    log_prob = jax.jit(require(system, ScoresCompletions).log_prob, static_argnums=6)
    x = jnp.asarray(every_x).reshape(16, 2, 2, 1)
    found = log_prob(params, {}, keys, x, None, known, 20_000)
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert not require(system, ScoresCompletions).is_exact(np.asarray(known)).any()


@pytest.mark.slow
def test_log_p_of_unknown_pixels_of_a_linear_vae_is_that_of_the_conditional_gaussian():
    system, params = linear_system()
    x = linear_images(6, seed=5)
    means, covariance = zip(*(conditional(one) for one in x), strict=True)
    unknown = x.reshape(6, 6)[:, ~KNOWN.ravel()]
    expected = [multivariate_normal.logpdf(one, mean, covariance[0]) for one, mean in zip(unknown, means, strict=True)]
    keys, known = jax.random.split(jax.random.key(0), 6), jnp.broadcast_to(KNOWN, (6, 2, 3))
    log_prob = jax.jit(require(system, ScoresCompletions).log_prob, static_argnums=6)
    np.testing.assert_allclose(log_prob(params, {}, keys, x, None, known, 1_000), expected, atol=0.1)
    np.testing.assert_allclose(log_prob(params, {}, keys, x, None, jnp.ones_like(known), 256), 0.0)


@pytest.mark.slow
def test_without_known_pixels_completions_are_samples_and_without_unknown_ones_the_image():
    system, params = linear_system()
    x = linear_images(1)[0]
    drawn, _ = completions(system, params, x, np.zeros((2, 3), bool))
    assert np.all(np.abs(drawn.mean(axis=0) - B) < 4 * np.sqrt((np.square(W).sum(axis=1) + SIGMA**2) / NUM))
    drawn, means = completions(system, params, x, np.ones((2, 3), bool), copies=3)
    for found in (drawn, means):
        np.testing.assert_array_equal(found, np.tile(x.ravel(), (3, 1)))


def test_what_becomes_of_an_image_depends_neither_on_the_others_nor_on_the_number_of_completions():
    system, params = linear_system()
    x, keys = jnp.asarray(linear_images(4)), jax.random.split(jax.random.key(0), 4)
    known = jnp.asarray(np.random.default_rng(0).random((4, 2, 3)) < 0.5)
    complete = jax.jit(require(system, Completes).complete, static_argnums=6)
    whole = complete(params, {}, keys, x, None, known, 3).x
    some = complete(params, {}, keys[1:3], x[1:3], None, known[1:3], 2).x
    np.testing.assert_allclose(some, whole[:2, 1:3], atol=1e-5)
    unlike = jnp.where(known[..., None], x, 0.123)  # what unknown pixels were does not matter
    np.testing.assert_allclose(complete(params, {}, keys, unlike, None, known, 3).x, whole, atol=1e-5)


OTHERS = {
    "planar flow": lambda: (
        FlowPosterior(GaussianPosterior(2), PlanarFlow(2, 2, amortized=True)),
        standard_normal(),
    ),
    "mixture": lambda: (MixturePosterior(GaussianPosterior(2), 2), MixturePrior(2, 3)),
}


def of_prior_draws(model, params):
    """Means of the two unknown pixels given the two known ones, by draws of the prior alone."""
    apply = lambda *arguments, method: model.apply({"params": params}, *arguments, method=method)  # noqa: E731
    z = apply(jax.random.split(jax.random.key(1), 100_000), method="prior_latents")
    p = np.asarray(jax.nn.sigmoid(apply(z, method="decode"))).reshape(-1, 4)
    return np.average(p[:, 1:3], axis=0, weights=p[:, 0] * (1 - p[:, 3]))


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_posteriors_and_priors_complete_too(name):
    posterior, prior = OTHERS[name]()
    system, vae, params = bits_system(1.0, posterior=posterior, prior=prior)
    expected = of_prior_draws(vae, params)
    assert 0.05 < expected.min() < 0.95
    drawn, means = completions(system, params, TWO, TWO_KNOWN)
    np.testing.assert_allclose(means[:, 1:3].mean(axis=0), expected, atol=0.03)
    np.testing.assert_allclose(drawn[:, 1:3].mean(axis=0), expected, atol=4 * np.sqrt(0.25 / NUM))


@pytest.mark.slow
def test_latents_of_several_layers_are_drawn_together():
    likelihood, spec = bernoulli(), DataSpec((2, 2, 1), 2, 0)
    model = HierarchicalVAE(
        encoders=(MLPEncoder((4,)), MLP((4,))),
        posteriors=(GaussianPosterior(2), GaussianPosterior(2)),
        generators=(MLP((4,)),),
        conditionals=(GaussianPosterior(2),),
        decoder=ImageDecoder(MLP((4,)), likelihood.param_shapes(spec.shape)),
        likelihood=likelihood,
    )
    params = model.init(jax.random.key(1), jax.random.split(jax.random.key(0), 1), jnp.ones((1, 2, 2, 1)))["params"]
    generator = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: jnp.asarray(1.2 * generator.standard_normal(leaf.shape, np.float32)), params)
    system = loaded("hierarchical", VAEParts(spec, model, binary_pixels(spec)), {})
    _, means = completions(system, params, TWO, TWO_KNOWN)
    np.testing.assert_allclose(means[:, 1:3].mean(axis=0), of_prior_draws(model, params), atol=0.02)


@pytest.mark.slow
def test_a_flow_is_replaced_by_a_gaussian_of_its_moments():
    base, flow = GaussianPosterior(2), PlanarFlow(2, 3, amortized=True)
    posterior = FlowPosterior(base, flow)
    features, keys = jnp.array([[0.3, -1.0], [2.0, 0.5]]), jax.random.split(jax.random.key(0), 2)
    params = posterior.init(jax.random.key(1), keys, features, 1)["params"]
    matched = MatchedPosterior(posterior, 2000)
    of_matched = matched.init(jax.random.key(1), keys, features, 1)["params"]
    assert jax.tree.structure(of_matched) == jax.tree.structure(params)
    drawn = posterior.apply({"params": params}, keys, features, 2000)[0]
    z, log_q, stats = matched.apply({"params": params}, keys, features, 5)
    np.testing.assert_allclose(stats.mean, drawn.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(np.exp(0.5 * stats.log_var), drawn.std(axis=0), rtol=0.1)
    np.testing.assert_allclose(log_q, matched.apply({"params": params}, features, z, method="log_prob"), rtol=1e-4)
    vae = VAE(Flat(), posterior, ImageDecoder(MLP((3,)), bernoulli().param_shapes(SHAPE)), bernoulli())
    assert proposal_of(vae).posterior == MatchedPosterior(posterior)
    invertible = vae.clone(posterior=FlowPosterior(base, AutoregressiveFlow(2, 1, (4,))))
    assert isinstance(proposal_of(invertible).posterior, MatchedPosterior)
    assert proposal_of(vae.clone(posterior=base)).posterior is base


def test_only_models_whose_pixels_are_independent_complete():
    spec = DataSpec((2, 2, 1), 2, 0)
    likelihood = bernoulli()
    vae = VAE(Flat(), GaussianPosterior(2), ImageDecoder(MLP((3,)), likelihood.param_shapes(spec.shape)), likelihood)
    parts = VAEParts(spec, vae, binary_pixels(spec))
    assert any(isinstance(one, Completes) for one in parts.use)
    decoder = AutoregressiveDecoder(PixelCNN(1, 4, 1), likelihood.param_shapes(spec.shape), context=MLP((4,)))
    mixture = bernoulli_mixture(2)
    of_mixture = ImageDecoder(MLP((3,)), mixture.param_shapes(spec.shape))
    for other in (vae.clone(decoder=decoder), vae.clone(likelihood=mixture, decoder=of_mixture)):
        system = loaded("other", VAEParts(spec, other, binary_pixels(spec)), {})
        assert find(system, Completes) is None
