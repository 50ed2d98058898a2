"""What all members of a kind have in common: names of arguments, jit, and one trace for many steps."""

import inspect

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae import flows, likelihoods, objectives, posteriors, priors
from jaxvae.models import VAE, HierarchicalVAE, TopDownVAE
from jaxvae.nets import MLP, BottomUp, Enlarge, Group, ImageDecoder, MLPEncoder
from jaxvae.types import ELBOTerms

SHAPE, DIM, NUM_EXAMPLES, NUM_SAMPLES = (2, 2, 1), 2, 3, 2
KEYS = jax.random.split(jax.random.key(0), NUM_EXAMPLES)

LIKELIHOODS = {
    "bernoulli": likelihoods.bernoulli,
    "bernoulli_mixture": lambda: likelihoods.bernoulli_mixture(2),
    "beta_binomial": likelihoods.beta_binomial,
    "categorical": likelihoods.categorical,
    "continuous_bernoulli": likelihoods.continuous_bernoulli,
    "gaussian": likelihoods.gaussian,
    "gaussian_learned_scale": likelihoods.gaussian_learned_scale,
    "logistic_mixture": lambda: likelihoods.logistic_mixture(2),
    "squared_error": likelihoods.squared_error,
}
PRIORS = {
    "standard_normal": priors.standard_normal,
    "mixture": lambda: priors.MixturePrior(DIM, 3),
    "binned": lambda: priors.BinnedPrior(DIM, 3),
    "flow": lambda: priors.FlowPrior(flows.PlanarFlow(DIM, 2)),
    "full_mixture": lambda: priors.FullMixturePrior(DIM, 3),
    "refitted": lambda: priors.RefittedPrior(
        priors.FlowPrior(flows.CouplingFlow(DIM, 2, (4,))), priors.FullMixturePrior(DIM, 3), refitted=True
    ),
    "vamp": lambda: priors.VampPrior(MLPEncoder((4,)), posteriors.GaussianPosterior(DIM), 3, SHAPE),
    "fair_bernoulli": priors.fair_bernoulli,
    "relaxed_fair_bernoulli": lambda: priors.relaxed_fair_bernoulli(0.5),
    "bernoulli": lambda: priors.BernoulliPrior(DIM),
    "relaxed_bernoulli": lambda: priors.RelaxedBernoulliPrior(DIM, 0.5),
    "bernoulli_mixture": lambda: priors.BernoulliMixturePrior(DIM, 3),
    "relaxed_bernoulli_mixture": lambda: priors.RelaxedBernoulliMixturePrior(DIM, 3, 0.5),
}
CONDITIONAL_PRIORS = {
    "conditional_flow": lambda: priors.ConditionalFlowPrior(flows.CouplingFlow(DIM, 2, (4,), amortized=True)),
}
POSTERIORS = {
    "gaussian": lambda: posteriors.GaussianPosterior(DIM),
    "flow": lambda: posteriors.FlowPosterior(
        posteriors.GaussianPosterior(DIM), flows.PlanarFlow(DIM, 2, amortized=True)
    ),
    "uniform": lambda: posteriors.UniformPosterior(DIM),
    "bernoulli": lambda: posteriors.BernoulliPosterior(DIM),
    "straight_through": lambda: posteriors.StraightThroughPosterior(DIM),
    "relaxed_bernoulli": lambda: posteriors.RelaxedBernoulliPosterior(DIM, 0.5),
    "mixture": lambda: posteriors.MixturePosterior(posteriors.GaussianPosterior(DIM), 3),
    "bernoulli_mixture": lambda: posteriors.MixturePosterior(posteriors.BernoulliPosterior(DIM), 3),
}


def vae():
    likelihood = likelihoods.bernoulli()
    decoder = ImageDecoder(MLP((4,)), likelihood.param_shapes(SHAPE))
    return VAE(MLPEncoder((4,)), posteriors.GaussianPosterior(DIM), decoder, likelihood)


def hierarchical():
    likelihood = likelihoods.bernoulli()
    return HierarchicalVAE(
        encoders=(MLPEncoder((4,)), MLP((4,))),
        posteriors=(posteriors.GaussianPosterior(DIM), posteriors.GaussianPosterior(DIM)),
        generators=(MLP((4,)),),
        conditionals=(posteriors.GaussianPosterior(DIM),),
        decoder=ImageDecoder(MLP((4,)), likelihood.param_shapes(SHAPE)),
        likelihood=likelihood,
    )


def top_down():
    likelihood, groups = likelihoods.bernoulli(), (Group(1, 3, 1), Group(1, 3, 1))
    decoder = ImageDecoder(Enlarge(SHAPE), likelihood.param_shapes(SHAPE), latent_axes=3)
    return TopDownVAE(groups, BottomUp(groups), decoder, likelihood, SHAPE)


MODELS = {"vae": vae, "hierarchical": hierarchical, "top_down": top_down}


def names(function):
    return tuple(inspect.signature(function).parameters)


def images():
    return jax.random.bernoulli(jax.random.key(1), 0.5, (NUM_EXAMPLES, *SHAPE)).astype(jnp.float32)


# ---------- names of arguments


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_likelihood_argument_names(name):
    likelihood = LIKELIHOODS[name]()
    assert names(likelihood.param_shapes) == ("shape",)
    # The parameters go by the name that the likelihood has for them: logits, mean, ...
    parameters = names(likelihood.log_prob)[0]
    assert names(likelihood.log_prob) == (parameters, "x")
    assert names(likelihood.sample) == ("key", parameters)
    assert len(names(likelihood.mean)) == 1
    assert likelihood.log_pmf is None or names(likelihood.log_pmf) == (parameters,)
    assert likelihood.init_bias is None or names(likelihood.init_bias) == ("mean",)


@pytest.mark.parametrize("name", PRIORS)
def test_prior_argument_names(name):
    prior = PRIORS[name]()
    assert names(prior.log_prob) == ("z",)
    assert names(prior.sample)[:2] == ("key", "shape")


@pytest.mark.parametrize("name", CONDITIONAL_PRIORS)
def test_conditional_prior_argument_names_and_output_shapes(name):
    prior = CONDITIONAL_PRIORS[name]()
    assert names(prior.log_prob) == ("z", "context")
    assert names(prior.sample) == ("keys", "shape", "context")
    assert names(prior.tempered) == ("z", "temperature", "context")
    context = jnp.eye(NUM_EXAMPLES)

    def of_prior(method, *args):
        return lambda: prior.init_with_output(jax.random.key(0), *args, context, method=method)[0]

    z = jnp.zeros((NUM_SAMPLES, NUM_EXAMPLES, DIM))
    assert jax.eval_shape(of_prior("log_prob", z)).shape == (NUM_SAMPLES, NUM_EXAMPLES)
    assert jax.eval_shape(of_prior("log_prob", z[0])).shape == (NUM_EXAMPLES,)
    assert jax.eval_shape(lambda: of_prior("sample", KEYS, (DIM,))()).shape == (NUM_EXAMPLES, DIM)
    assert jax.eval_shape(of_prior("tempered", z[0], 0.5)).shape == (NUM_EXAMPLES, DIM)


@pytest.mark.parametrize("name", POSTERIORS)
def test_posterior_argument_names(name):
    posterior = POSTERIORS[name]()
    assert names(posterior.__call__) == ("keys", "features", "num_samples")
    assert names(posterior.mean) == ("keys", "features", "num_samples")
    assert names(posterior.params_of) == ("features",)
    assert names(posterior.log_prob) == ("features", "z")


@pytest.mark.parametrize("name", MODELS)
def test_model_argument_names(name):
    model = MODELS[name]()
    expected = {
        "__call__": ("keys", "x", "num_samples"),
        "draw": ("keys", "x", "num_samples"),
        "log_joint": ("x", "z"),
        "log_posterior": ("x", "z"),
        "latent_means": ("keys", "x", "num_samples"),
        "decode": ("z",),
        "prior_latents": ("keys",),
    }
    found = {method: names(getattr(model, method)) for method in expected}
    # A model that may be conditional on classes takes these last.
    assert {method: tuple(name for name in of if name != "labels") for method, of in found.items()} == expected
    assert all("labels" not in of[:-1] for of in found.values())


# ---------- types and shapes of what comes back


@pytest.mark.parametrize("name", PRIORS)
def test_prior_output_shapes(name):
    prior = PRIORS[name]()
    if isinstance(prior, nn.Module):
        prior = prior.bind(prior.init(jax.random.key(0), jnp.zeros(DIM), method="log_prob"))
    for leading in ((), (2, 3)):
        z = prior.sample(jax.random.key(0), (*leading, DIM))
        assert z.shape == (*leading, DIM)
        assert prior.log_prob(z).shape == leading


@pytest.mark.parametrize("name", POSTERIORS)
def test_posterior_output_shapes(name):
    posterior = POSTERIORS[name]()
    (z, log_qz, statistics), _ = jax.eval_shape(
        lambda: posterior.init_with_output(jax.random.key(0), KEYS, jnp.ones((NUM_EXAMPLES, 4)), NUM_SAMPLES)
    )
    assert z.shape == (NUM_SAMPLES, NUM_EXAMPLES, DIM)
    assert log_qz.shape == (NUM_SAMPLES, NUM_EXAMPLES)
    assert all(leaf.shape[0] == NUM_EXAMPLES for leaf in jax.tree.leaves(statistics))


@pytest.mark.parametrize("name", MODELS)
def test_model_output_shapes(name):
    model, x = MODELS[name](), images()
    variables = jax.eval_shape(model.init, jax.random.key(0), KEYS, x)

    def shape_of(method, *args):
        return jax.eval_shape(
            lambda v, k: model.apply(v, *(k if a is KEYS else a for a in args), method=method),
            *(
                variables,
                KEYS,
            ),
        )

    terms = shape_of("__call__", KEYS, x, NUM_SAMPLES)
    assert isinstance(terms, ELBOTerms)
    assert terms.log_px.shape == (NUM_SAMPLES, NUM_EXAMPLES)
    assert terms.log_pz.shape == terms.log_qz.shape
    assert terms.log_pz.shape[:2] == (NUM_SAMPLES, NUM_EXAMPLES)
    num_vectors = 1 if hasattr(model, "group_shapes") else terms.log_pz.shape[-1]  # groups lie side by side in one
    assert [mean.shape for mean in shape_of("latent_means", KEYS, x, NUM_SAMPLES)] == [
        (NUM_EXAMPLES, DIM)
    ] * num_vectors
    assert shape_of("prior_latents", KEYS).shape == (NUM_EXAMPLES, DIM)
    assert shape_of("decode", jnp.ones((5, 7, DIM))).shape == (5, 7, *SHAPE)


# ---------- jit


@pytest.mark.parametrize("name", ["vae", "hierarchical", pytest.param("top_down", marks=pytest.mark.slow)])
def test_bound_step_traces_once(name):
    model, x = MODELS[name](), images()
    params = jax.jit(model.init)(jax.random.key(0), KEYS, x)["params"]
    chex.clear_trace_counter()

    def loss(params, index):
        keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(KEYS, index)
        terms = model.apply({"params": params}, keys, x, NUM_SAMPLES)
        return -jnp.mean(objectives.elbo(terms) + objectives.iwae(terms))

    @jax.jit
    @chex.assert_max_traces(n=1)
    def step(params, index):
        value, gradient = jax.value_and_grad(loss)(params, index)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient), value

    values = []
    for index in range(3):
        params, value = step(params, index)
        values.append(float(value))
    assert np.all(np.isfinite(values))
    assert len(set(values)) == 3


@pytest.mark.slow
def test_bound_and_gradient_under_jit_equal_those_without():
    model, x = MODELS["vae"](), images()
    params = jax.jit(model.init)(jax.random.key(0), KEYS, x)["params"]

    def loss(params):
        terms = model.apply({"params": params}, KEYS, x, NUM_SAMPLES)
        return -jnp.mean(objectives.elbo(terms) + objectives.iwae(terms))

    plain, jitted = jax.value_and_grad(loss)(params), jax.jit(jax.value_and_grad(loss))(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), jitted, plain)


@pytest.mark.parametrize("name", ["bernoulli", "gaussian"])  # without jit every operation is compiled by itself
def test_likelihood_functions_under_jit_equal_those_without(name):
    likelihood = LIKELIHOODS[name]()
    params = jnp.array([-1.0, 0.0, 0.5, 2.0]).reshape(SHAPE)
    calls = {
        "log_prob": (params, jnp.ones(SHAPE)),
        "sample": (jax.random.key(0), params),
        "mean": (params,),
        "log_pmf": (params,),
        "init_bias": (jnp.full(SHAPE, 0.3),),
    }
    for field, arguments in calls.items():
        function = getattr(likelihood, field)
        if function is not None:
            np.testing.assert_allclose(jax.jit(function)(*arguments), function(*arguments), rtol=1e-6, err_msg=field)
