"""The VAE: its terms by hand, and a linear-Gaussian one whose log p(x) is known in closed form."""

import functools
import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from jaxvae import distributions, objectives, priors
from jaxvae.likelihoods import bernoulli, gaussian
from jaxvae.models import VAE, with_output_bias
from jaxvae.nets import MLP, ImageDecoder, MLPEncoder
from jaxvae.posteriors import GaussianPosterior
from jaxvae.types import GaussianParams

SHAPE, DIM = (2, 2, 1), 2


class Flatten(nn.Module):
    @nn.compact
    def __call__(self, x):
        return x.reshape(*x.shape[:-3], -1)


class LinearDecoder(nn.Module):
    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, z, x=None):
        return nn.Dense(math.prod(self.shape), name="dense")(z).reshape(*z.shape[:-1], *self.shape)


class ShiftedNormal(NamedTuple):
    """A prior N(mean, I) that a VAE can only know by asking."""

    log_prob: Any
    sample: Any


def shifted_normal(mean):
    return ShiftedNormal(
        log_prob=lambda z: priors.standard_normal().log_prob(z - mean),
        sample=lambda key, shape: mean + jax.random.normal(key, shape),
    )


# ---------- a Bernoulli VAE of small networks

LIKELIHOOD = bernoulli()
BERNOULLI = VAE(
    encoder=MLPEncoder((6,), activation=nn.tanh),
    posterior=GaussianPosterior(DIM),
    decoder=ImageDecoder(MLP((6,), activation=nn.tanh), LIKELIHOOD.param_shapes(SHAPE)),
    likelihood=LIKELIHOOD,
)
KEYS = jax.random.split(jax.random.key(1), 3)
IMAGES = jax.random.bernoulli(jax.random.key(2), 0.4, (3, *SHAPE)).astype(jnp.float32)
# Kernels twice as large as at first, so that the posterior is far from the prior.
PARAMS = jax.tree.map(lambda leaf: 2.0 * leaf, jax.jit(BERNOULLI.init)(jax.random.key(0), KEYS, IMAGES))["params"]


@functools.partial(jax.jit, static_argnames=("method", "num_samples", "model"))
def apply(method, *args, num_samples=None, model=BERNOULLI, params=PARAMS):
    options = {} if num_samples is None else {"num_samples": num_samples}
    return model.apply({"params": params}, *args, **options, method=method)


def test_vae_terms_have_axes_of_samples_examples_and_one_group():
    terms = apply("__call__", KEYS, IMAGES, num_samples=4)
    assert terms.log_px.shape == (4, 3)
    assert terms.log_pz.shape == terms.log_qz.shape == (4, 3, 1)
    assert apply("__call__", KEYS, IMAGES).log_px.shape == (1, 3)


def test_vae_terms_equal_loops_over_the_draws():
    terms, z = apply("__call__", KEYS, IMAGES, num_samples=2), np.asarray(apply("draw", KEYS, IMAGES, num_samples=2))
    logits, q = np.asarray(apply("decode", z), np.float64), apply("encode", IMAGES)
    for s in range(2):
        for b in range(3):
            log_px = -np.logaddexp(0.0, np.where(np.asarray(IMAGES[b]) == 1.0, -logits[s, b], logits[s, b])).sum()
            log_qz = stats.norm.logpdf(z[s, b], np.asarray(q.mean[b]), np.exp(np.asarray(q.log_var[b]) / 2)).sum()
            np.testing.assert_allclose(terms.log_px[s, b], log_px, rtol=1e-4)
            np.testing.assert_allclose(terms.log_pz[s, b, 0], stats.norm.logpdf(z[s, b]).sum(), rtol=1e-4)
            np.testing.assert_allclose(terms.log_qz[s, b, 0], log_qz, rtol=1e-4, atol=1e-5)


def test_vae_log_joint_and_log_posterior_agree_with_the_terms():
    terms, z = apply("__call__", KEYS, IMAGES, num_samples=2), apply("draw", KEYS, IMAGES, num_samples=2)
    log_joint, log_posterior = apply("log_joint", IMAGES, z), apply("log_posterior", IMAGES, z)
    np.testing.assert_allclose(log_joint, terms.log_px + terms.log_pz[..., 0], rtol=1e-5)
    np.testing.assert_allclose(log_posterior, terms.log_qz[..., 0], rtol=1e-4, atol=1e-5)


def test_vae_statistics_give_the_kl_that_the_samples_estimate():
    num = 4_000
    terms, statistics = apply("terms_and_stats", KEYS, IMAGES, num_samples=num)
    kl = np.sum(distributions.normal_kl_to_standard(statistics), axis=-1)
    sampled = np.asarray(terms.log_qz - terms.log_pz, np.float64)[..., 0]
    assert np.all(kl > 0.05)
    assert np.all(np.abs(sampled.mean(0) - kl) < 4.0 * sampled.std(0) / np.sqrt(num))


def test_vae_terms_and_stats_has_the_terms_of_the_call():
    terms, statistics = apply("terms_and_stats", KEYS, IMAGES, num_samples=2)
    jax.tree.map(np.testing.assert_array_equal, terms, apply("__call__", KEYS, IMAGES, num_samples=2))
    jax.tree.map(np.testing.assert_array_equal, statistics, apply("encode", IMAGES))


def test_vae_scores_the_image_under_the_posterior_of_what_the_encoder_sees():
    options = {"num_samples": 2, "seen": 1 - IMAGES, "method": "terms_and_stats"}
    terms, statistics = BERNOULLI.apply({"params": PARAMS}, KEYS, IMAGES, **options)
    z = apply("draw", KEYS, 1 - IMAGES, num_samples=2)
    np.testing.assert_allclose(apply("log_joint", IMAGES, z), terms.log_px + terms.log_pz[..., 0], rtol=1e-5)
    np.testing.assert_allclose(apply("log_posterior", 1 - IMAGES, z), terms.log_qz[..., 0], rtol=1e-4, atol=1e-5)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), statistics, apply("encode", 1 - IMAGES))


def test_vae_latent_means_are_the_means_of_the_draws():
    num = 4_000
    (means,) = apply("latent_means", KEYS, IMAGES, num_samples=1)
    z = np.asarray(apply("draw", KEYS, IMAGES, num_samples=num))
    assert means.shape == (3, DIM)
    assert np.all(np.abs(z.mean(0) - means) < 4.0 * z.std(0) / np.sqrt(num))


def test_vae_examples_do_not_depend_on_the_rest_of_the_batch():
    order = np.array([2, 0, 1])
    terms, permuted = (
        apply("__call__", KEYS, IMAGES, num_samples=2),
        apply("__call__", KEYS[order], IMAGES[order], num_samples=2),
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[:, order], b, rtol=1e-4, atol=1e-5), terms, permuted)


def test_vae_refuses_a_prior_of_one_latent_alone():
    prior = ShiftedNormal(distributions.standard_normal_log_prob, jax.random.normal)  # sums over the batch as well
    with pytest.raises(ValueError, match=r"log p\(z\) of the prior has shape \[\], expected \[2, 3\]"):
        apply("__call__", KEYS, IMAGES, num_samples=2, model=BERNOULLI.clone(prior=prior))


def test_vae_scores_and_samples_the_prior_that_it_is_given():
    prior = shifted_normal(5.0)
    model = BERNOULLI.clone(prior=prior)
    z = apply("draw", KEYS, IMAGES, num_samples=2)
    expected = stats.norm.logpdf(np.asarray(z), 5.0).sum(-1)
    np.testing.assert_allclose(
        apply("__call__", KEYS, IMAGES, num_samples=2, model=model).log_pz[..., 0], expected, rtol=1e-5
    )
    np.testing.assert_allclose(
        apply("log_joint", IMAGES, z, model=model) - apply("log_joint", IMAGES, z),
        expected - stats.norm.logpdf(np.asarray(z)).sum(-1),
        rtol=1e-4,
    )
    keys = jax.random.split(jax.random.key(3), 1_000)
    latents = np.asarray(apply("prior_latents", keys, model=model))
    assert latents.shape == (1_000, DIM)
    assert np.all(np.abs(latents.mean(0) - 5.0) < 4.0 / np.sqrt(1_000))


def test_vae_prior_latents_belong_to_their_keys():
    latents = apply("prior_latents", KEYS)
    np.testing.assert_array_equal(apply("prior_latents", KEYS[1:]), latents[1:])
    assert len(np.unique(np.asarray(latents))) == latents.size


def test_vae_gives_the_image_to_the_decoder():
    class Peeking(nn.Module):
        @nn.compact
        def __call__(self, z, x=None):
            assert x is not None
            return 3.0 * jnp.broadcast_to(x[None], (*z.shape[:-1], *x.shape[1:]))

    model = BERNOULLI.clone(decoder=Peeking())
    params = {name: PARAMS[name] for name in ("encoder", "posterior")}
    expected = jax.vmap(LIKELIHOOD.log_prob)(3.0 * IMAGES, IMAGES)
    z = apply("draw", KEYS, IMAGES, num_samples=2)
    for got in (
        apply("__call__", KEYS, IMAGES, num_samples=2, model=model, params=params).log_px,
        apply("log_joint", IMAGES, z, model=model, params=params)
        - jax.vmap(jax.vmap(distributions.standard_normal_log_prob))(z),
    ):
        np.testing.assert_allclose(got, np.stack([expected] * 2), rtol=1e-5, atol=1e-6)


def test_vae_dreg_value_and_gradients():
    def dreg(params):
        return objectives.dreg(
            params,
            lambda p: apply("draw", KEYS, IMAGES, num_samples=4, params=p),
            lambda p, z: apply("log_joint", IMAGES, z, params=p),
            lambda p, z: apply("log_posterior", IMAGES, z, params=p),
        )

    def iwae(params):
        return objectives.iwae(apply("__call__", KEYS, IMAGES, num_samples=4, params=params))

    def explicit(params):
        """The posterior's gradient, sum_s v_s^2 dlog w_s/dz_s dz_s/dphi."""
        log_w = lambda z: apply("log_joint", IMAGES, z) - apply("log_posterior", IMAGES, z)  # noqa: E731
        z, pull_back = jax.vjp(lambda p: apply("draw", KEYS, IMAGES, num_samples=4, params=p), params)
        v = jax.nn.softmax(log_w(z), axis=0)
        dlog_w = jax.grad(lambda z: jnp.sum(log_w(z)))(z)  # samples do not see each other
        return pull_back(v[..., None] ** 2 * dlog_w)[0]

    both = lambda bound, params: jax.value_and_grad(lambda p: jnp.sum(bound(p)))(params)  # noqa: E731
    run = jax.jit(lambda params: (both(dreg, params), both(iwae, params), explicit(params)))
    (value, gradient), (iwae_value, iwae_gradient), explicit_gradient = run(PARAMS)
    np.testing.assert_allclose(value, iwae_value, rtol=1e-5)
    same = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)  # noqa: E731
    for net in PARAMS:
        expected = iwae_gradient[net] if net == "decoder" else explicit_gradient[net]
        assert max(np.max(np.abs(leaf)) for leaf in jax.tree.leaves(expected)) > 1e-3
        jax.tree.map(same, gradient[net], expected)


def test_with_output_bias_predicts_the_mean_image_and_changes_nothing_else():
    mean_image = jnp.array([0.1, 0.5, 0.8, 0.3]).reshape(SHAPE)
    params = with_output_bias(PARAMS, LIKELIHOOD, mean_image)
    silent = jax.tree.map(jnp.zeros_like, PARAMS["decoder"]) | {"bias": params["decoder"]["bias"]}
    logits = apply("decode", jnp.ones((DIM,)), params=params | {"decoder": silent})
    np.testing.assert_allclose(LIKELIHOOD.mean(logits), mean_image, rtol=1e-5)
    assert jax.tree.structure(params) == jax.tree.structure(PARAMS)
    restored = params | {"decoder": params["decoder"] | {"bias": PARAMS["decoder"]["bias"]}}
    jax.tree.map(np.testing.assert_array_equal, restored, PARAMS)


def test_with_output_bias_refuses_a_decoder_without_one():
    decoder = {name: leaf for name, leaf in PARAMS["decoder"].items() if name != "bias"}
    with pytest.raises(ValueError, match="but no bias: expected an ImageDecoder's"):
        with_output_bias({**PARAMS, "decoder": decoder}, LIKELIHOOD, jnp.zeros(SHAPE))


def test_with_output_bias_leaves_params_alone_where_the_likelihood_has_none():
    assert with_output_bias(PARAMS, LIKELIHOOD._replace(init_bias=None), jnp.zeros(SHAPE)) is PARAMS


# ---------- a linear-Gaussian VAE

SIGMA = 0.6
W = np.array([[0.9, 0.3, 0.0, -0.5], [-0.3, 0.9, 0.4, 0.0]])  # orthogonal rows: the true posterior is diagonal
BIAS = np.array([0.1, -0.2, 0.3, 0.0])
LINEAR = VAE(Flatten(), GaussianPosterior(DIM), LinearDecoder(SHAPE), gaussian(SIGMA))
X = jnp.array([[0.5, -0.7, 1.0, 0.2], [-1.2, 0.4, 0.0, 0.9]]).reshape(2, *SHAPE)


def linear_params(shift=0.0, log_scale=0.0):
    precision = 1.0 + np.sum(W**2, axis=1) / SIGMA**2
    to_mean = W.T / precision / SIGMA**2
    posterior = {
        "kernel": np.concatenate([to_mean, np.zeros((4, DIM))], axis=1),
        "bias": np.concatenate([-BIAS @ to_mean + shift, -np.log(precision) + log_scale]),
    }
    params = {"posterior": {"statistics": posterior}, "decoder": {"dense": {"kernel": W, "bias": BIAS}}}
    return jax.tree.map(lambda leaf: jnp.array(leaf, jnp.float32), params)


def linear_log_weights(params, key, num_samples):
    keys = jax.random.split(key, 2)
    terms = apply("__call__", keys, X, num_samples=num_samples, model=LINEAR, params=params)
    return terms, np.asarray(objectives.log_weights(terms), np.float64)


def log_marginal():
    return stats.multivariate_normal(BIAS, W.T @ W + SIGMA**2 * np.eye(4)).logpdf(np.asarray(X).reshape(2, 4))


def test_linear_vae_with_the_exact_posterior_has_elbo_and_iwae_at_the_marginal():
    terms, log_w = linear_log_weights(linear_params(), jax.random.key(0), 6)
    np.testing.assert_allclose(log_w, np.stack([log_marginal()] * 6), rtol=1e-5)  # no sample differs
    np.testing.assert_allclose(objectives.elbo(terms), log_marginal(), rtol=1e-5)
    np.testing.assert_allclose(objectives.iwae(terms), log_marginal(), rtol=1e-5)


def test_linear_vae_with_a_wrong_posterior_has_a_lower_elbo_that_iwae_makes_up():
    num = 20_000
    terms, log_w = linear_log_weights(linear_params(shift=0.4, log_scale=0.5), jax.random.key(1), num)
    std_error = log_w.std(0) / np.sqrt(num)
    precision = 1.0 + np.sum(W**2, axis=1) / SIGMA**2
    gap = np.sum(0.5 * (0.4**2 * precision + np.exp(0.5) - 1.0 - 0.5))  # KL(q || p(z | x))
    assert np.all(np.abs(objectives.elbo(terms) - (log_marginal() - gap)) < 4.0 * std_error)
    assert np.all(objectives.elbo(terms) < log_marginal() - 0.4)
    few = special.logsumexp(log_w.reshape(-1, 4, 2), axis=1).mean(0) - np.log(4)  # IWAE of 4, many times
    assert np.all((objectives.elbo(terms) + 0.1 < few) & (few < log_marginal() - 0.02))
    np.testing.assert_allclose(objectives.iwae(terms), log_marginal(), atol=0.03)
    ratios = np.exp(log_w - log_marginal())
    assert np.all(np.abs(ratios.mean(0) - 1.0) < 4.0 * ratios.std(0) / np.sqrt(num))


def test_linear_vae_closed_elbo_is_the_marginal_on_average():
    num = 20_000
    terms, _ = linear_log_weights(linear_params(), jax.random.key(2), num)
    q = apply("encode", X, model=LINEAR, params=linear_params())
    kl = jnp.sum(distributions.normal_kl(q, GaussianParams(jnp.zeros((2, DIM)), jnp.zeros((2, DIM)))), axis=-1)
    closed = objectives.elbo_analytic(terms.log_px, kl)
    std_error = np.std(np.asarray(terms.log_px, np.float64), axis=0) / np.sqrt(num)
    assert np.all(np.abs(closed - log_marginal()) < 4.0 * std_error)


def test_linear_vae_images_have_the_covariance_of_the_model():
    # x = z W + b + noise over prior latents: mean b and covariance W^T W + sigma^2 I.
    num = 10_000
    keys = jax.random.split(jax.random.key(3), num)
    params = linear_params()
    z = apply("prior_latents", keys, model=LINEAR, params=params)
    mean = apply("decode", z, model=LINEAR, params=params)
    assert mean.shape == (num, *SHAPE)
    noise_keys = jax.random.split(jax.random.key(4), num)
    x = np.asarray(jax.jit(jax.vmap(LINEAR.likelihood.sample))(noise_keys, mean), np.float64).reshape(num, 4)
    covariance = W.T @ W + SIGMA**2 * np.eye(4)
    assert np.all(np.abs(x.mean(0) - BIAS) < 4.0 * np.sqrt(np.diag(covariance) / num))
    np.testing.assert_allclose(np.cov(x.T), covariance, atol=4.0 * np.sqrt(2.0 / num) * np.max(covariance))
