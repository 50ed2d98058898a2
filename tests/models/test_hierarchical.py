"""The chain of stochastic layers: its terms, its noise, and a linear-Gaussian chain with a known log p(x)."""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxvae import objectives
from jaxvae.likelihoods import bernoulli, gaussian
from jaxvae.models import HierarchicalVAE
from jaxvae.nets import MLP, ImageDecoder, MLPEncoder
from jaxvae.posteriors import GaussianPosterior

SHAPE = (2, 2, 1)


class Flatten(nn.Module):
    @nn.compact
    def __call__(self, x):
        return x.reshape(*x.shape[:-3], -1)


class Identity(nn.Module):
    @nn.compact
    def __call__(self, h):
        return h


class LinearDecoder(nn.Module):
    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, z, x=None):
        return nn.Dense(math.prod(self.shape), name="dense")(z).reshape(*z.shape[:-1], *self.shape)


# ---------- a Bernoulli chain of small networks, 3 and 2 dimensions

DIMS = (3, 2)
NETWORK = functools.partial(MLP, (5,), activation=nn.tanh)
LIKELIHOOD = bernoulli()
BERNOULLI = HierarchicalVAE(
    encoders=(MLPEncoder((5,), activation=nn.tanh), NETWORK()),
    posteriors=(GaussianPosterior(DIMS[0]), GaussianPosterior(DIMS[1])),
    generators=(NETWORK(),),
    conditionals=(GaussianPosterior(DIMS[0]),),
    decoder=ImageDecoder(NETWORK(), LIKELIHOOD.param_shapes(SHAPE)),
    likelihood=LIKELIHOOD,
)
KEYS = jax.random.split(jax.random.key(1), 3)
IMAGES = jax.random.bernoulli(jax.random.key(2), 0.4, (3, *SHAPE)).astype(jnp.float32)
PARAMS = jax.jit(BERNOULLI.init)(jax.random.key(0), KEYS, IMAGES)["params"]


@functools.partial(jax.jit, static_argnames=("method", "num_samples", "model"))
def apply(method, *args, num_samples=None, model=BERNOULLI, params=PARAMS):
    options = {} if num_samples is None else {"num_samples": num_samples}
    return model.apply({"params": params}, *args, **options, method=method)


@pytest.fixture(scope="module")
def terms_and_draws():
    return apply("__call__", KEYS, IMAGES, num_samples=2), apply("draw", KEYS, IMAGES, num_samples=2)


def test_hierarchical_terms_have_a_column_for_each_layer(terms_and_draws):
    terms, latents = terms_and_draws
    assert terms.log_px.shape == (2, 3)
    assert terms.log_pz.shape == terms.log_qz.shape == (2, 3, 2)
    assert [z.shape for z in latents] == [(2, 3, dim) for dim in DIMS]


def test_hierarchical_terms_equal_loops_over_the_draws(terms_and_draws):
    terms, latents = terms_and_draws
    z1, z2 = (np.asarray(z) for z in latents)

    def statistics(name, h):
        dense = PARAMS[name]["statistics"]
        return h @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"])

    def network(params, h):
        return np.tanh(h @ np.asarray(params["dense_0"]["kernel"]) + np.asarray(params["dense_0"]["bias"]))

    def log_normal(mean_and_log_var, z):
        mean, log_var = np.split(mean_and_log_var, 2)
        return stats.norm.logpdf(z, mean, np.exp(log_var / 2)).sum()

    for s in range(2):
        for b in range(3):
            h1 = network(PARAMS["encoders_0"]["mlp"], np.asarray(IMAGES[b]).ravel())
            h2, g1 = network(PARAMS["encoders_1"], z1[s, b]), network(PARAMS["generators_0"], z2[s, b])
            log_qz = [
                log_normal(statistics("posteriors_0", h1), z1[s, b]),
                log_normal(statistics("posteriors_1", h2), z2[s, b]),
            ]
            log_pz = [log_normal(statistics("conditionals_0", g1), z1[s, b]), stats.norm.logpdf(z2[s, b]).sum()]
            log_px = LIKELIHOOD.log_prob(apply("decode", latents[0][s, b]), IMAGES[b])
            np.testing.assert_allclose(terms.log_qz[s, b], log_qz, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(terms.log_pz[s, b], log_pz, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(terms.log_px[s, b], log_px, rtol=1e-4)


def test_hierarchical_log_joint_and_log_posterior_are_sums_of_the_terms(terms_and_draws):
    terms, latents = terms_and_draws
    log_joint, log_posterior = apply("log_joint", IMAGES, latents), apply("log_posterior", IMAGES, latents)
    np.testing.assert_allclose(log_joint, terms.log_px + terms.log_pz.sum(-1), rtol=1e-5)
    np.testing.assert_allclose(log_posterior, terms.log_qz.sum(-1), rtol=1e-4, atol=1e-5)


def test_hierarchical_examples_do_not_depend_on_the_rest_of_the_batch(terms_and_draws):
    terms, latents = terms_and_draws
    order = np.array([2, 0, 1])
    permuted = (
        apply("__call__", KEYS[order], IMAGES[order], num_samples=2),
        apply("draw", KEYS[order], IMAGES[order], num_samples=2),
    )
    same = lambda a, b: np.testing.assert_allclose(a[:, order], b, rtol=1e-4, atol=1e-5)  # noqa: E731
    jax.tree.map(same, (terms, latents), permuted)


def test_hierarchical_fewer_samples_are_the_first_ones(terms_and_draws):
    one = apply("__call__", KEYS, IMAGES)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[:1], b, rtol=1e-4, atol=1e-5), terms_and_draws[0], one)


def test_hierarchical_latent_means_are_the_means_of_the_draws():
    num = 2_000
    means = apply("latent_means", KEYS, IMAGES, num_samples=num)
    latents = apply("draw", jax.random.split(jax.random.key(9), 3), IMAGES, num_samples=num)
    for mean, z in zip(means, latents, strict=True):
        assert mean.shape == z.shape[1:]
        assert np.all(np.abs(np.mean(z, axis=0) - mean) < 5.0 * np.std(z, axis=0) / np.sqrt(num))


def test_hierarchical_dreg_value_and_gradients():
    def dreg(params):
        return objectives.dreg(
            params,
            lambda p: apply("draw", KEYS, IMAGES, num_samples=3, params=p),
            lambda p, z: apply("log_joint", IMAGES, z, params=p),
            lambda p, z: apply("log_posterior", IMAGES, z, params=p),
        )

    def iwae(params):
        return objectives.iwae(apply("__call__", KEYS, IMAGES, num_samples=3, params=params))

    def explicit(params):
        """The posteriors' gradient, sum_s v_s^2 (dlog w_s/dz_1 dz_1/dphi + dlog w_s/dz_2 dz_2/dphi)."""
        log_w = lambda z: apply("log_joint", IMAGES, z) - apply("log_posterior", IMAGES, z)  # noqa: E731
        latents, pull_back = jax.vjp(lambda p: apply("draw", KEYS, IMAGES, num_samples=3, params=p), params)
        v = jax.nn.softmax(log_w(latents), axis=0)
        dlog_w = jax.grad(lambda z: jnp.sum(log_w(z)))(latents)  # samples do not see each other
        return pull_back(tuple(v[..., None] ** 2 * g for g in dlog_w))[0]

    both = lambda bound, params: jax.value_and_grad(lambda p: jnp.sum(bound(p)))(params)  # noqa: E731
    run = jax.jit(lambda params: (both(dreg, params), both(iwae, params), explicit(params)))
    (value, gradient), (iwae_value, iwae_gradient), explicit_gradient = run(PARAMS)
    np.testing.assert_allclose(value, iwae_value, rtol=1e-5)
    posteriors = ("encoders_0", "encoders_1", "posteriors_0", "posteriors_1")
    for net in PARAMS:
        expected = explicit_gradient[net] if net in posteriors else iwae_gradient[net]
        assert max(np.max(np.abs(leaf)) for leaf in jax.tree.leaves(expected)) > 1e-3
        same = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)  # noqa: E731
        jax.tree.map(same, gradient[net], expected)


# ---------- linear-Gaussian chains: every conditional is a diagonal Gaussian, and so is every exact posterior

SIGMA, STEP_VAR, DIM = 0.6, 0.3, 2
W = np.array([[0.9, 0.3, 0.0, -0.5], [-0.3, 0.9, 0.4, 0.0]])  # orthogonal rows
BIAS = np.array([0.1, -0.2, 0.3, 0.0])
GAIN, OFFSET = np.array([0.8, -1.1]), np.array([0.5, -0.3])  # z_l = GAIN z_{l+1} + OFFSET + noise of STEP_VAR
X = jnp.array([[0.5, -0.7, 1.0, 0.2], [-1.2, 0.4, 0.0, 0.9]]).reshape(2, *SHAPE)


@functools.cache  # one model, one trace
def chain(num_layers):
    return HierarchicalVAE(
        encoders=(Flatten(), *(Identity() for _ in range(num_layers - 1))),
        posteriors=tuple(GaussianPosterior(DIM) for _ in range(num_layers)),
        generators=tuple(Identity() for _ in range(num_layers - 1)),
        conditionals=tuple(GaussianPosterior(DIM) for _ in range(num_layers - 1)),
        decoder=LinearDecoder(SHAPE),
        likelihood=gaussian(SIGMA),
    )


def marginals(num_layers):
    """Mean and variance of every z_l under the prior, from the first layer to the last."""
    mean, var = np.zeros(DIM), np.ones(DIM)
    layers = [(mean, var)]
    for _ in range(num_layers - 1):
        mean, var = GAIN * mean + OFFSET, GAIN**2 * var + STEP_VAR
        layers.insert(0, (mean, var))
    return layers


def dense(kernel, bias, log_var):
    zeros = np.zeros_like(kernel)
    return {"statistics": {"kernel": np.concatenate([kernel, zeros], axis=1), "bias": np.concatenate([bias, log_var])}}


def chain_params(num_layers, shift=0.0, log_scale=0.0):
    params = {"decoder": {"dense": {"kernel": W, "bias": BIAS}}}
    for level, (mean, var) in enumerate(marginals(num_layers)):
        # Bayes' rule for z_l ~ N(mean, var) seen through y = gain z_l + offset + noise.
        gain, offset, noise = (W, BIAS, SIGMA**2) if level == 0 else (np.diag(GAIN), OFFSET, STEP_VAR)
        precision = 1.0 / var + np.sum(gain**2, axis=1) / noise
        to_mean = gain.T / precision / noise
        bias = mean / var / precision - offset @ to_mean
        params[f"posteriors_{level}"] = dense(to_mean, bias + shift, -np.log(precision) + log_scale)
        if level < num_layers - 1:
            params[f"conditionals_{level}"] = dense(np.diag(GAIN), OFFSET, np.full(DIM, np.log(STEP_VAR)))
    return jax.tree.map(lambda leaf: jnp.array(leaf, jnp.float32), params)


def log_marginal(num_layers):
    mean, var = marginals(num_layers)[0]
    covariance = W.T @ np.diag(var) @ W + SIGMA**2 * np.eye(4)
    return stats.multivariate_normal(mean @ W + BIAS, covariance).logpdf(np.asarray(X).reshape(2, 4))


def chain_terms(num_layers, params, num_samples):
    keys = jax.random.split(jax.random.key(0), 2)
    return apply("__call__", keys, X, num_samples=num_samples, model=chain(num_layers), params=params)


@pytest.mark.parametrize("num_layers", [1, 3])
def test_linear_chain_with_exact_posteriors_has_every_weight_at_the_marginal(num_layers):
    terms = chain_terms(num_layers, chain_params(num_layers), 4)
    assert terms.log_pz.shape == (4, 2, num_layers)
    log_w = objectives.log_weights(terms)
    np.testing.assert_allclose(log_w, np.stack([log_marginal(num_layers)] * 4), rtol=2e-5)
    np.testing.assert_allclose(objectives.elbo(terms), log_marginal(num_layers), rtol=2e-5)
    np.testing.assert_allclose(objectives.iwae(terms), log_marginal(num_layers), rtol=2e-5)


def test_linear_chain_with_wrong_posteriors_has_a_lower_elbo_that_iwae_makes_up():
    num = 20_000
    terms = chain_terms(2, chain_params(2, shift=0.3, log_scale=0.4), num)
    log_w = np.asarray(objectives.log_weights(terms), np.float64)
    assert np.all(objectives.elbo(terms) < log_marginal(2) - 0.4)
    np.testing.assert_allclose(objectives.iwae(terms), log_marginal(2), atol=0.05)
    ratios = np.exp(log_w - log_marginal(2))
    assert np.all(np.abs(ratios.mean(0) - 1.0) < 4.0 * ratios.std(0) / np.sqrt(num))


@pytest.fixture(scope="module")
def prior_draws():
    """Keys of a chain of 3 layers, and a function from keys to z_1."""
    params = chain_params(3)
    keys = jax.random.split(jax.random.key(4), 10_000)
    return keys, lambda keys: np.asarray(apply("prior_latents", keys, model=chain(3), params=params), np.float64)


def test_prior_latents_have_the_ancestral_mean_and_variance(prior_draws):
    keys, run = prior_draws
    z, (mean, var), num = run(keys), marginals(3)[0], len(keys)
    assert z.shape == (num, DIM)
    assert np.all(np.abs(z.mean(0) - mean) < 4.0 * np.sqrt(var / num))
    assert np.all(np.abs(z.var(0) / var - 1.0) < 4.0 * np.sqrt(2.0 / num))
    assert abs(np.corrcoef(z.T)[0, 1]) < 4.0 / np.sqrt(num)


def test_prior_latents_belong_to_their_keys(prior_draws):
    keys, run = prior_draws
    z = run(keys)
    order = np.roll(np.arange(len(keys)), 1)
    np.testing.assert_allclose(run(keys[order]), z[order], rtol=1e-5, atol=1e-6)
    assert len(np.unique(z[:20])) == 20 * DIM


# ---------- noise


@pytest.fixture(scope="module")
def noise():
    """Latents of posteriors that are all N(0, I), so the noise itself, of 3 layers: [L, S, B, D]."""
    num = 4_000
    params = jax.tree.map(jnp.zeros_like, chain_params(3))
    keys = jax.random.split(jax.random.key(5), num)
    return np.stack(apply("draw", keys, jnp.zeros((num, *SHAPE)), num_samples=4, model=chain(3), params=params))


def test_hierarchical_noise_is_never_used_twice(noise):
    # Equal noise at any two places would be one key drawn from twice; a few examples, floats repeat among many.
    few = np.abs(noise[:, :, :10])
    assert len(np.unique(few)) == few.size


def test_hierarchical_noise_of_layers_and_samples_is_not_correlated(noise):
    rows = np.moveaxis(noise, 2, -1).reshape(-1, noise.shape[2])  # every layer, sample and dimension
    num = rows.shape[1]
    assert np.all(np.abs(np.corrcoef(rows)[np.triu_indices(len(rows), 1)]) < 4.5 / np.sqrt(num))
    assert np.all(np.abs(rows.mean(1)) < 4.5 / np.sqrt(num))
    assert np.all(np.abs(rows.var(1) - 1.0) < 4.5 * np.sqrt(2.0 / num))
