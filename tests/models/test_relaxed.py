"""A VAE of so few bits that everything about it can be enumerated, and its relaxed counterpart."""

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from jaxvae import objectives, priors
from jaxvae.likelihoods import bernoulli
from jaxvae.models import VAE, relaxed
from jaxvae.nets import MLP, ImageDecoder, MLPEncoder
from jaxvae.posteriors import BernoulliPosterior, GaussianPosterior, MixturePosterior, StraightThroughPosterior

SHAPE, DIM, NUM_EXAMPLES, NUM_SAMPLES, K = (2, 2, 1), 3, 2, 3_000, 3
KEYS = jax.random.split(jax.random.key(1), NUM_EXAMPLES)
IMAGES = jax.random.bernoulli(jax.random.key(2), 0.5, (NUM_EXAMPLES, *SHAPE)).astype(jnp.float32)


def vae_of(posterior, prior):
    likelihood = bernoulli()
    decoder = ImageDecoder(MLP((6,), activation=nn.tanh), likelihood.param_shapes(SHAPE))
    return VAE(MLPEncoder((6,), activation=nn.tanh), posterior, decoder, likelihood, prior)


BITS = BernoulliPosterior(DIM)
MODELS = {
    "learned": vae_of(BITS, priors.BernoulliPrior(DIM)),
    "mixture_prior": vae_of(BITS, priors.BernoulliMixturePrior(DIM, 4)),
    "mixture_posterior": vae_of(MixturePosterior(BITS, K), priors.fair_bernoulli()),
}


def params_of(model):
    shapes = jax.eval_shape(model.init, jax.random.key(0), KEYS, IMAGES)["params"]
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.array(rng.normal(size=leaf.shape), jnp.float32), shapes)


def all_bits(dim):
    bits = jnp.array(list(itertools.product((0.0, 1.0), repeat=dim)))
    return jnp.broadcast_to(bits[:, None], (2**dim, NUM_EXAMPLES, dim))


def exact_elbo(log_joint, log_q):
    return jnp.sum(jnp.exp(log_q) * (log_joint - log_q), axis=0)


def enumerated(model, params, dim=DIM):
    """log p(x, z) and log q(z | x) of all bits, [2^D, B]."""
    apply = lambda method: model.apply({"params": params}, IMAGES, all_bits(dim), method=method)  # noqa: E731
    return apply("log_joint"), apply("log_posterior")


@functools.cache
def results(name):
    """What draws of the model and of its relaxation of low temperature say, from one program."""
    model = MODELS[name]
    cold = relaxed(model, 1e-4, 1e-4)

    @jax.jit
    def run(params):
        apply = functools.partial(model.apply, {"params": params})
        bits = (cold.apply({"params": params}, KEYS, IMAGES, NUM_SAMPLES, method="draw") > 0).astype(jnp.float32)
        of_bits = jax.vmap(jax.vmap(model.likelihood.log_prob), (0, None))(apply(bits, method="decode"), IMAGES)
        return {
            "terms": apply(KEYS, IMAGES, NUM_SAMPLES),
            "stratified": apply(KEYS, IMAGES, NUM_SAMPLES, method="stratified") if "posterior" in name else None,
            "enumerated": enumerated(model, params),
            "cold_log_px": cold.apply({"params": params}, KEYS, IMAGES, NUM_SAMPLES).log_px,
            "cold_bits": bits,
            "log_px_of_cold_bits": of_bits,
        }

    return jax.tree.map(np.asarray, run(params_of(model)))


@pytest.mark.parametrize("name", MODELS)
def test_elbo_is_below_the_exact_log_likelihood_by_the_divergence_of_the_posterior(name):
    log_joint, log_q = (part.astype(np.float64) for part in results(name)["enumerated"])
    log_px = special.logsumexp(log_joint, axis=0)
    gap = np.sum(np.exp(log_q) * (log_q - (log_joint - log_px)), axis=0)
    elbo = exact_elbo(log_joint, log_q)
    np.testing.assert_allclose(log_px - elbo, gap, rtol=1e-3, atol=1e-4)
    assert np.all(gap > 0.01)
    log_w = np.asarray(objectives.log_weights(results(name)["terms"]), np.float64)
    assert np.all(np.abs(log_w.mean(0) - elbo) < 4.0 * log_w.std(0) / np.sqrt(NUM_SAMPLES))
    ratios = np.exp(log_w - log_px)
    assert np.all(np.abs(ratios.mean(0) - 1.0) < 4.0 * ratios.std(0) / np.sqrt(NUM_SAMPLES))  # IWAE-k rests on it


# ---------- strata


def test_stratified_elbo_is_unbiased_and_varies_less():
    terms, log_weights = results("mixture_posterior")["stratified"]
    assert terms.log_px.shape == (K, NUM_SAMPLES, NUM_EXAMPLES)
    assert terms.log_pz.shape == terms.log_qz.shape == (K, NUM_SAMPLES, NUM_EXAMPLES, 1)
    each = jax.tree.map(lambda leaf: np.moveaxis(leaf, 1, 0)[:, :, None], terms)  # one sample of each component
    estimates = np.asarray(jax.vmap(objectives.stratified_elbo, (0, None))(each, log_weights), np.float64)
    exact, error = exact_elbo(*results("mixture_posterior")["enumerated"]), estimates.std(0) / np.sqrt(NUM_SAMPLES)
    assert np.all(np.abs(estimates.mean(0) - exact) < 4.0 * error)
    ancestral = np.asarray(objectives.log_weights(results("mixture_posterior")["terms"]), np.float64)
    assert np.sum(estimates.var(0)) < 0.9 * np.sum(ancestral.var(0))


def test_stratified_elbo_has_the_gradient_of_the_weights_which_ancestral_draws_have_not():
    model, params = MODELS["mixture_posterior"], params_of(MODELS["mixture_posterior"])

    def with_bias(bias):
        weights = params["posterior"]["weights"] | {"bias": bias}
        return params | {"posterior": params["posterior"] | {"weights": weights}}

    def stratified(bias, keys):
        arguments = model.apply({"params": with_bias(bias)}, keys, IMAGES, 20, method="stratified")
        return jnp.mean(objectives.stratified_elbo(*arguments))

    def ancestral(bias, keys):
        return jnp.mean(objectives.elbo(model.apply({"params": with_bias(bias)}, keys, IMAGES, 20)))

    @jax.jit
    def gradients(bias, keys):
        exact = jax.grad(lambda bias: jnp.mean(exact_elbo(*enumerated(model, with_bias(bias)))))(bias)
        return exact, [jax.vmap(jax.grad(bound), (None, 0))(bias, keys) for bound in (stratified, ancestral)]

    keys = jax.random.split(jax.random.key(4), (200, NUM_EXAMPLES))
    exact, estimates = gradients(params["posterior"]["weights"]["bias"], keys)
    of_strata, of_ancestors = (np.asarray(each, np.float64) for each in estimates)
    off = lambda draws: np.abs(draws.mean(0) - exact) / (draws.std(0) / np.sqrt(len(draws)))  # noqa: E731
    assert np.all(off(of_strata) < 4.0)
    assert np.max(off(of_ancestors)) > 10.0


def test_stratified_is_of_mixtures_alone():
    model = MODELS["learned"]
    with pytest.raises(ValueError, match="The VAE has the posterior BernoulliPosterior, expected MixturePosterior"):
        jax.eval_shape(lambda: model.apply({"params": params_of(model)}, KEYS, IMAGES, method="stratified"))


# ---------- KL in closed form


@pytest.mark.parametrize("prior", [priors.fair_bernoulli(), priors.BernoulliPrior(DIM)], ids=["fair", "learned"])
def test_closed_kl_equals_enumeration(prior):
    hard = vae_of(BITS, prior)

    @jax.jit
    def run(params):
        kls = []
        for posterior in (BITS, StraightThroughPosterior(DIM)):
            apply = functools.partial(hard.clone(posterior=posterior).apply, {"params": params})
            kls.append(apply(apply(IMAGES, method="encode"), method="closed_kl"))
        log_p = hard.apply({"params": params}, all_bits(DIM), method=lambda vae, z: vae.prior.log_prob(z))
        return kls, enumerated(hard, params)[1], log_p

    assert hard.has_closed_kl
    kls, log_q, log_p = run(params_of(hard))
    for kl in kls:
        np.testing.assert_allclose(np.sum(kl, -1), np.sum(np.exp(log_q) * (log_q - log_p), axis=0), rtol=1e-4)


def test_closed_kl_is_refused_where_there_is_none():
    gaussian = MODELS["learned"].clone(posterior=GaussianPosterior(DIM))
    for model in (MODELS["mixture_prior"], MODELS["mixture_posterior"], relaxed(MODELS["learned"], 0.5, 0.5), gaussian):
        assert not model.has_closed_kl
    with pytest.raises(ValueError, match="GaussianPosterior and BernoulliPrior have no KL in closed form, expected"):
        gaussian.apply({"params": {}}, jnp.zeros((2, DIM)), method="closed_kl")


# ---------- the relaxed model


@pytest.mark.parametrize("name", MODELS)
def test_relaxed_latents_of_low_temperature_are_the_bits(name):
    got = results(name)
    np.testing.assert_allclose(got["cold_log_px"].mean(0), got["log_px_of_cold_bits"].mean(0), atol=0.01)
    q = np.exp(got["enumerated"][1].astype(np.float64))
    frequencies = np.mean(np.all(got["cold_bits"][:, None] == np.asarray(all_bits(DIM)), axis=-1), axis=0)  # [2^D, B]
    assert np.all(np.abs(frequencies - q) < 4.5 * np.sqrt(q * (1 - q) / NUM_SAMPLES))


def test_relaxed_bound_is_of_the_relaxed_models_likelihood():
    # p(x) = integral of p(y) p(x | sigmoid(y)), by a grid over one bit: masses of bits in its place would miss it.
    num, hard = 20_000, vae_of(BernoulliPosterior(1), priors.BernoulliPrior(1))
    model = relaxed(hard, 0.7, 0.5)
    grid = jnp.linspace(-60.0, 60.0, 12_001)

    @jax.jit
    def run(params):
        y = jnp.broadcast_to(grid[:, None, None], (grid.size, NUM_EXAMPLES, 1))
        log_joint = model.apply({"params": params}, IMAGES, y, method="log_joint")
        return log_joint, model.apply({"params": params}, KEYS, IMAGES, num), enumerated(hard, params, 1)[0]

    log_joint, terms, discrete = run(params_of(hard))
    log_px = np.log(np.trapezoid(np.exp(np.asarray(log_joint, np.float64)), grid, axis=0))
    log_w = np.asarray(objectives.log_weights(terms), np.float64)
    ratios = np.exp(log_w - log_px)
    assert np.all(np.abs(ratios.mean(0) - 1.0) < 4.0 * ratios.std(0) / np.sqrt(num))
    assert np.all(log_w.mean(0) < log_px - 0.01)
    assert np.all(np.abs(special.logsumexp(discrete, axis=0) - log_px) > 1e-3)  # another model


def test_relaxed_takes_traced_temperatures_and_gradients_reach_every_parameter():
    hard = vae_of(MixturePosterior(BITS, K), priors.BernoulliMixturePrior(DIM, 4))

    def loss(temperature, params):
        model = relaxed(hard, temperature, 0.75 * temperature)
        arguments = model.apply({"params": params}, KEYS, IMAGES, method="stratified")
        return -jnp.mean(objectives.stratified_elbo(*arguments))

    both = jax.jit(jax.vmap(jax.value_and_grad(loss, argnums=1), (0, None)))
    values, gradients = both(jnp.array([0.5, 1.0]), params_of(hard))
    assert values[0] != values[1]
    for path, leaf in jax.tree.leaves_with_path(gradients):
        assert np.all(np.isfinite(leaf)), path
        assert np.any(leaf != 0), path


def test_what_is_not_of_bits_has_no_relaxation():
    gaussian = vae_of(GaussianPosterior(DIM), priors.standard_normal())
    for model, part in ((gaussian, "posterior Gaussian"), (gaussian.clone(posterior=BITS), "prior Standard")):
        with pytest.raises(ValueError, match=rf"The {part}\w+ has no relaxation, expected one of bits"):
            relaxed(model, 0.5, 0.5)
