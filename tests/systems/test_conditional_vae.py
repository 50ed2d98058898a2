"""VAEs that are conditional on classes: p(x | y) by quadrature, and what is said where labels are missing."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxvae as jv
from jaxvae.applications import encoding, generation, interpolation, likelihood
from jaxvae.capabilities import Completes, GeneratesClasses, Scores, find, require
from jaxvae.errors import UserError
from jaxvae.exchange.functions import functions_of
from jaxvae.flows import CouplingFlow
from jaxvae.labelled import Labelled
from jaxvae.likelihoods import bernoulli
from jaxvae.models import VAE
from jaxvae.nets import MLP, ImageDecoder, MLPEncoder
from jaxvae.posteriors import GaussianPosterior
from jaxvae.priors import ConditionalFlowPrior, standard_normal
from jaxvae.runs.description import describe, rebuild
from jaxvae.systems.assemble import loaded
from jaxvae.systems.bounds import closed_bound
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import cosine_adam
from jaxvae.types import Dataset, DataSpec

SHAPE, CLASSES = (2, 2, 1), 3
SPEC = DataSpec(SHAPE, 2, CLASSES)
EVERY_X = np.array(list(itertools.product((0.0, 1.0), repeat=4)), np.float32).reshape(-1, *SHAPE)
KEYS = jax.random.split(jax.random.key(0), len(EVERY_X))
PRIORS = {
    "normal": standard_normal(),
    "flow": ConditionalFlowPrior(CouplingFlow(1, 2, (3,), amortized=True)),
}


def small(prior="normal"):
    """A VAE of one latent and four binary pixels with parameters of some size, as a system."""
    decoder = ImageDecoder(MLP((3,), nn.tanh), bernoulli().param_shapes(SHAPE))
    encoder = MLPEncoder((4,), nn.tanh)
    vae = VAE(encoder, GaussianPosterior(1), decoder, bernoulli(), PRIORS[prior], CLASSES)
    options = {"name": "small", "spec": SPEC, "vae": vae, "prepare": binary_pixels(SPEC), "bound": lambda: None}
    parts = vae_system(**options, optimizer=cosine_adam(1e-3, 10)).parts
    labels = jnp.zeros(len(EVERY_X), jnp.int32)
    shapes = jax.eval_shape(lambda: vae.init(jax.random.key(0), KEYS, jnp.asarray(EVERY_X), labels=labels)["params"])
    generator = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: jnp.float32(1.5 * generator.standard_normal(leaf.shape)), shapes)
    # A q(z | x, y) that is wide enough to propose latents.
    statistics = {"kernel": 0.1 * params["posterior"]["statistics"]["kernel"], "bias": jnp.array([0.0, 1.5])}
    prior = jax.tree.map(lambda leaf: 0.3 * leaf, params.get("prior", {}))
    params = {**params, "posterior": {"statistics": statistics}, "prior": prior}
    return loaded("small", parts, {}), vae, params


def log_p(vae, params, label):
    """log p(x | y) of every image by quadrature over the latent, [16]."""
    z = jnp.linspace(-12.0, 12.0, 6_001).reshape(-1, 1, 1)
    labels = jnp.full(1, label)
    log_pz = vae.apply({"params": params}, z, labels, method="log_prior")[:, 0]
    logits = vae.apply({"params": params}, z, labels, method="decode").reshape(-1, 1, 4)
    log_px = jnp.sum(jnp.where(EVERY_X.reshape(16, 4) == 1, jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)), 2)
    return np.asarray(jax.nn.logsumexp(log_px + log_pz[:, None], axis=0) + np.log(24.0 / 6_000))


@pytest.mark.slow
@pytest.mark.parametrize("prior", PRIORS)
def test_importance_sampling_estimates_log_p_of_x_given_the_class(prior):
    system, vae, params = small(prior)
    of_classes = [log_p(vae, params, label) for label in range(CLASSES)]
    assert np.abs(of_classes[0] - of_classes[1]).max() > 0.3  # classes that differ
    for label, expected in enumerate(of_classes):
        np.testing.assert_allclose(np.exp(expected).sum(), 1.0, atol=1e-3)
        dataset = Dataset(EVERY_X, np.full(16, label))
        found = likelihood.estimate_likelihood(system, params, {}, dataset, 4_000)
        assert np.all(np.abs(found.log_likelihood - expected) < 5 * np.asarray(found.standard_error) + 5e-3)
        assert np.all(found.elbo < found.log_likelihood)


@pytest.mark.slow
@pytest.mark.parametrize("prior", PRIORS)
def test_samples_of_a_class_have_its_probabilities(prior):
    system, vae, params = small(prior)
    num = 6_000
    for label in range(CLASSES):
        labels = jnp.full(num, label)
        drawn = require(system, GeneratesClasses).sample(jax.random.key(label), params, {}, labels).x
        counts = np.bincount(np.asarray(drawn).reshape(num, 4).astype(int) @ [8, 4, 2, 1], minlength=16) / num
        expected = np.exp(log_p(vae, params, label))
        assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected / num) + 1e-3)


@pytest.mark.slow
def test_completions_are_of_the_class_that_is_given():
    system, vae, params = small("flow")
    known, x, num = np.array([[True, False], [False, True]]), EVERY_X[8], 3_000
    agrees = np.all((x == EVERY_X)[:, known], axis=(1, 2))
    complete = jax.jit(require(system, Completes).complete, static_argnums=6)
    tiled = [jnp.broadcast_to(leaf, (num, *leaf.shape)) for leaf in (x, known)]
    for label in range(2):
        p = np.where(agrees, np.exp(log_p(vae, params, label)), 0.0)
        keys = jax.random.split(jax.random.key(label), num)
        drawn = complete(params, {}, keys, tiled[0], jnp.full(num, label), tiled[1], 1).x[0]
        counts = np.bincount(np.asarray(drawn).reshape(num, 4).astype(int) @ [8, 4, 2, 1], minlength=16) / num
        assert np.all(np.abs(counts - p / p.sum()) < 5 * np.sqrt(p / p.sum() / num) + 1e-2)


@pytest.mark.slow
def test_a_class_adds_a_vector_of_its_own_to_the_first_layers():
    """With these vectors as biases the VAE without classes is the same."""
    _, vae, params = small()
    plain, label = vae.clone(num_classes=0), 1

    def folded(dense, inputs):
        kernel = dense["kernel"]
        return {**dense, "kernel": kernel[:inputs], "bias": dense["bias"] + kernel[inputs + label]}

    posterior = {"statistics": folded(params["posterior"]["statistics"], 4)}
    net = params["decoder"]["net"]
    first = next(iter(net))
    decoder = {**params["decoder"], "net": {**net, first: folded(net[first], 1)}}
    of_class = {**params, "posterior": posterior, "decoder": decoder}
    found = vae.apply({"params": params}, KEYS, EVERY_X, 2, labels=jnp.full(16, label))
    expected = plain.apply({"params": of_class}, KEYS, EVERY_X, 2)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-4), found, expected)


@pytest.mark.slow
def test_shares_of_one_class_are_that_class():
    _, vae, params = small("flow")
    z, labels = jnp.linspace(-1, 1, 6).reshape(2, 3, 1), jnp.array([0, 2, 1])
    for method in ("log_prior", "decode"):
        found, expected = (
            vae.apply({"params": params}, z, given, method=method) for given in (jnp.eye(CLASSES)[labels], labels)
        )
        np.testing.assert_array_equal(found, expected)


def test_a_conditional_vae_without_labels_says_what_it_needs():
    system, _, params = small()
    model, code = (system, params, {}), np.zeros((2, 1), np.float32)
    expected = "small is conditional on classes: expected labels, one from 0 to 2 each"
    for call in (
        lambda: encoding.encode(*model, Dataset(EVERY_X, None)),
        lambda: encoding.decode(*model, code),
        lambda: likelihood.log_likelihood(*model, Dataset(EVERY_X, None), 2),
    ):
        with pytest.raises(UserError, match=expected):
            call()
    wrong = (np.array([0, 3]), "from 0 to 3"), (np.zeros(3, int), r"shape \[3\]"), ([0.0, 1.0], "float")
    for labels, message in wrong:
        with pytest.raises(UserError, match=message):
            encoding.decode(*model, code, labels=labels)
    with pytest.raises(UserError, match="The model is conditional on classes: expected labels"):
        require(system, Scores).terms(params, {}, KEYS, EVERY_X)  # by whoever knows nothing of classes
    with pytest.raises(UserError, match="label is 3, the classes of small are from 0 to 2"):
        generation.sample(*model, jax.random.key(0), 2, label=3)


def test_classes_between_two_images_change_evenly():
    system, _, _ = small()
    np.testing.assert_allclose(interpolation.class_shares(system, [0, 2], 3), [[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]])
    with pytest.raises(UserError, match=r"labels has shape \[1\], expected the classes of both"):
        interpolation.labels_of_ends(system, [1])


def test_a_plain_vae_refuses_labels():
    system = jv.systems.vae(SPEC, latent_dim=2, net="mlp")
    assert find(system, GeneratesClasses) is None
    with pytest.raises(UserError, match="class_conditional needs labels, which these images do not have"):
        jv.systems.vae(SPEC._replace(num_classes=0), class_conditional=True)


@pytest.mark.slow
def test_functions_for_other_programs_take_the_class():
    system, _, params = small("flow")
    functions = {one.name: one for one in functions_of(system, params, {})}
    assert all([port.name for port in one.inputs][-1] == "labels" for one in functions.values())
    mean, _ = functions["encode"].call(EVERY_X[3], jnp.int32(2), jax.random.key(0))
    dataset = Dataset(EVERY_X, np.full(16, 2))
    np.testing.assert_allclose(mean, encoding.encode(system, params, {}, dataset)[0][3], rtol=1e-5)


def test_a_conditional_vae_is_described_and_rebuilt():
    system, vae, _ = small("flow")
    again = rebuild(describe(system.parts))
    assert again.vae.num_classes == CLASSES
    assert again.vae.prior.flow.amortized
    x = again.prepare(KEYS, Labelled(EVERY_X, np.zeros(16, np.int32)))
    np.testing.assert_array_equal(x.x, EVERY_X)
    assert [type(one) for one in again.use] == [type(one) for one in system.use]
    assert callable(closed_bound(vae.clone(prior=standard_normal())))
