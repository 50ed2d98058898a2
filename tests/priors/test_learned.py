"""Priors with learned parameters: they integrate to one, sample what they score, and train inside a VAE."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxvae import objectives
from jaxvae.flows import AutoregressiveFlow, CouplingFlow, Inverted, PlanarFlow
from jaxvae.likelihoods import bernoulli
from jaxvae.models import VAE
from jaxvae.nets import MLP, ImageDecoder, MLPEncoder
from jaxvae.posteriors import FlowPosterior, GaussianPosterior
from jaxvae.priors import FlowPrior, MixturePrior, VampPrior
from tests.drawn import normal_like

SHAPE, DIM = (3, 2, 1), 2


def vamp():
    return VampPrior(MLPEncoder((4,)), GaussianPosterior(DIM), num_components=5, image_shape=SHAPE)


PRIORS = {
    "mixture": lambda: MixturePrior(DIM, num_components=4),
    "flow": lambda: FlowPrior(PlanarFlow(DIM, num_flows=3)),
    "realnvp": lambda: FlowPrior(CouplingFlow(DIM, num_flows=2, hidden=(4,))),
    "maf": lambda: FlowPrior(Inverted(AutoregressiveFlow(DIM, num_flows=2, hidden=(4,)))),
    "vamp": vamp,
}


@functools.cache
def made(name):
    prior = PRIORS[name]()
    shapes = jax.eval_shape(lambda: prior.init(jax.random.key(0), jnp.zeros((1, DIM)), method="log_prob"))
    return prior, normal_like(shapes, scale=0.5)


def log_prob(name, z):
    prior, params = made(name)
    return jax.jit(functools.partial(prior.apply, method="log_prob"))(params, z)


def sample(name, key, shape):
    prior, params = made(name)
    return jax.jit(lambda params: prior.apply(params, key, shape, method="sample"))(params)


@pytest.mark.parametrize("name", PRIORS)
def test_prior_integrates_to_one(name):
    num, half = 300, 10.0
    axis = (jnp.arange(num) + 0.5) / num * 2 * half - half
    grid = jnp.stack(jnp.meshgrid(axis, axis, indexing="ij"), axis=-1)
    density = np.exp(np.asarray(log_prob(name, grid), np.float64))
    assert density.shape == (num, num)
    np.testing.assert_allclose(density.sum() * (2 * half / num) ** 2, 1.0, atol=2e-3)


@pytest.mark.parametrize("name", PRIORS)
def test_prior_samples_have_the_density_that_it_says(name):
    num = 20_000
    z = np.asarray(sample(name, jax.random.key(2), (num, DIM)))
    axis = np.linspace(-10.0, 10.0, 401, dtype=np.float32)
    density = np.exp(log_prob(name, jnp.stack(jnp.meshgrid(axis, axis, indexing="ij"), axis=-1)))
    for d in range(DIM):
        marginal = np.trapezoid(density, axis, axis=1 - d)
        cumulative = np.concatenate([[0.0], np.cumsum((marginal[1:] + marginal[:-1]) / 2 * np.diff(axis))])
        result = stats.kstest(z[:, d], lambda v, c=cumulative: np.interp(v, axis, c))
        assert result.pvalue > 1e-3


@pytest.mark.parametrize("name", PRIORS)
def test_prior_takes_any_leading_axes(name):
    z = jax.random.normal(jax.random.key(3), (2, 3, DIM))
    whole = log_prob(name, z)
    assert whole.shape == (2, 3)
    np.testing.assert_allclose(log_prob(name, z[1, 2]), whole[1, 2], rtol=1e-5)
    assert sample(name, jax.random.key(0), (DIM,)).shape == (DIM,)
    assert sample(name, jax.random.key(0), (4, 3, DIM)).shape == (4, 3, DIM)


def test_mixture_equals_scipy():
    prior, params = made("mixture")
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])
    z = np.array([0.3, -1.2])
    weights = np.exp(p["logits"]) / np.exp(p["logits"]).sum()
    parts = [stats.norm.pdf(z, m, np.exp(v / 2)).prod() for m, v in zip(p["mean"], p["log_var"], strict=True)]
    np.testing.assert_allclose(log_prob("mixture", jnp.asarray(z, jnp.float32)), np.log(weights @ parts), rtol=1e-5)


def test_learned_priors_refuse_other_dimensions():
    for name, kind in {"mixture": "MixturePrior", "vamp": "VampPrior"}.items():
        prior, params = made(name)
        with pytest.raises(ValueError, match=rf"z of {kind} has shape \[4, 3\], expected \[4, 2\]"):
            prior.apply(params, jnp.zeros((4, 3)), method="log_prob")
        with pytest.raises(
            ValueError, match=r"Latents of shape \[4, 1\] are asked of a mixture, expected 2 dimensions"
        ):
            sample(name, jax.random.key(0), (4, 1))


def test_a_vamp_prior_of_posteriors_with_flows_is_refused():
    prior = VampPrior(MLPEncoder((4,)), FlowPosterior(GaussianPosterior(DIM), PlanarFlow(DIM, 2)), 5, SHAPE)
    with pytest.raises(ValueError, match="VampPrior has the posterior FlowPosterior, expected GaussianPosterior"):
        prior.init(jax.random.key(0), jnp.zeros((1, DIM)), method="log_prob")


def vae_with(name):
    likelihood = bernoulli()
    encoder, posterior = MLPEncoder((4,)), GaussianPosterior(DIM)
    prior = VampPrior(encoder, posterior, 5, SHAPE) if name == "vamp" else PRIORS[name]()
    return VAE(encoder, posterior, ImageDecoder(MLP((4,)), likelihood.param_shapes(SHAPE)), likelihood, prior)


@pytest.mark.parametrize("name", ["mixture", "flow", "vamp"])
def test_prior_in_a_vae_is_trained_with_it(name):
    model = vae_with(name)
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.bernoulli(jax.random.key(1), 0.5, (3, *SHAPE)).astype(jnp.float32)
    params = jax.jit(model.init)(jax.random.key(2), keys, x)["params"]
    loss = lambda params: -jnp.mean(objectives.elbo(model.apply({"params": params}, keys, x)))  # noqa: E731
    gradient = jax.jit(jax.grad(loss))(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient["prior"]):
        assert np.any(leaf != 0), path
    latents = jax.jit(functools.partial(model.apply, method="prior_latents"))({"params": params}, keys)
    assert latents.shape == (3, DIM)
    assert not model.has_closed_kl


def test_learned_images_start_around_the_mean_of_a_pixel():
    prior = vamp().clone(init_mean=0.2, init_scale=0.0)
    params = prior.init(jax.random.key(0), jnp.zeros((1, DIM)), method="log_prob")["params"]
    np.testing.assert_allclose(jax.nn.sigmoid(params["pixel_logits"]), np.full((5, *SHAPE), 0.2), rtol=1e-6)


def test_vamp_prior_shares_the_vaes_encoder_and_posterior():
    model = vae_with("vamp")
    keys = jax.random.split(jax.random.key(0), 3)
    params = jax.jit(model.init)(jax.random.key(2), keys, jnp.ones((3, *SHAPE)))["params"]
    assert set(params["prior"]) == {"pixel_logits"}
    # The density of the prior is that of the mixture of the VAE's own posteriors of the learned images.
    images = jax.nn.sigmoid(params["prior"]["pixel_logits"])
    stats_of = model.apply({"params": params}, images, method="encode")
    z = jnp.array([[0.2, -0.4]])
    parts = [
        stats.norm.pdf(np.asarray(z[0]), np.asarray(m), np.exp(np.asarray(v) / 2)).prod()
        for m, v in zip(stats_of.mean, stats_of.log_var, strict=True)
    ]
    got = model.apply({"params": params}, z, method=lambda vae, z: vae.prior.log_prob(z))
    np.testing.assert_allclose(got, [np.log(np.mean(parts))], rtol=1e-5)
