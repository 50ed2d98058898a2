"""M2 against enumeration: of the classes everywhere, and of a latent that is nearly nothing."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.likelihoods import bernoulli
from jaxvae.models import ClassTerms, SemiSupervisedVAE, class_bound
from jaxvae.nets import MLP, ImageDecoder, MLPEncoder
from jaxvae.posteriors import GaussianPosterior
from tests.drawn import normal_like

SHAPE, K, D = (2, 2, 1), 3, 2


@pytest.fixture(scope="module")
def model():
    likelihood = bernoulli()
    return SemiSupervisedVAE(
        classifier=nn.Sequential([MLPEncoder((4,)), nn.Dense(K)]),
        encoder=MLPEncoder((5,)),
        posterior=GaussianPosterior(D),
        decoder=ImageDecoder(MLP((6,)), likelihood.param_shapes(SHAPE)),
        likelihood=likelihood,
        num_classes=K,
        features=4,
    )


@pytest.fixture(scope="module")
def params(model):
    keys, x = jax.random.split(jax.random.key(0), 1), jnp.zeros((1, *SHAPE))
    return normal_like(jax.eval_shape(model.init, jax.random.key(0), keys, x), 0.5)["params"]


X = jnp.array(np.random.default_rng(0).integers(0, 2, (4, *SHAPE)), jnp.float32)
KEYS = jax.random.split(jax.random.key(1), 4)


@pytest.mark.slow
def test_terms_are_those_of_every_class_alone(model, params):
    terms = model.apply({"params": params}, KEYS, X)
    for y in range(K):
        labels = jnp.full(4, y)
        q = model.apply({"params": params}, X, labels, method="style")
        noise = jnp.stack([jax.random.normal(key, (D,)) for key in KEYS])
        z = np.asarray(q.mean + jnp.exp(0.5 * q.log_var) * noise)
        logits = np.asarray(model.apply({"params": params}, z, labels, method="decode"))
        log_px = np.sum(X * logits - np.log1p(np.exp(logits)), axis=(1, 2, 3))
        mean, log_var = np.asarray(q.mean), np.asarray(q.log_var)
        kl = 0.5 * np.sum(np.exp(log_var) + mean**2 - 1 - log_var, axis=1)
        np.testing.assert_allclose(terms.bounds[:, y], log_px - kl - np.log(K), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.sum(np.exp(terms.log_qy), axis=1), 1.0, rtol=1e-5)


def test_bound_is_below_the_log_likelihood_and_reaches_it_with_the_true_posteriors():
    """Of three classes with log p(x, y) known: sum_y q (log p - log q) is log p(x) for q(y) = p(y | x), else below."""
    log_joint = jnp.log(jnp.array([[0.1, 0.05, 0.2], [0.3, 0.01, 0.02]]))
    log_px = jax.nn.logsumexp(log_joint, axis=1, keepdims=True)
    unknown = jnp.array([-1, -1])
    exact = class_bound(ClassTerms(log_joint, log_joint - log_px), unknown)
    np.testing.assert_allclose(exact, log_px[:, 0], rtol=1e-5)
    log_q = jnp.log(jnp.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]) + 1e-12)
    bound = class_bound(ClassTerms(log_joint, log_q), unknown)
    want = [sum(q * (p - np.log(q)) for q, p in zip((0.2, 0.3, 0.5), log_joint[0], strict=True)), np.log(0.3)]
    np.testing.assert_allclose(bound, want, rtol=1e-4)
    assert np.all(bound < log_px[:, 0])


def test_known_classes_have_their_own_bound():
    terms = ClassTerms(jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), jnp.log(jnp.full((2, 3), 1 / 3)))
    np.testing.assert_allclose(class_bound(terms, jnp.array([2, -1])), [3.0, 5.0 + np.log(3)], rtol=1e-6)


def test_bound_of_a_tiny_model_is_that_of_quadrature_and_below_its_likelihood(model, params):
    """Integrals over z on a grid: the bound of eq. 7 with exact expectations, and log p(x)."""
    side = np.linspace(-8, 8, 161)
    z = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2).astype(np.float32)
    area, log_pz = (side[1] - side[0]) ** 2, -0.5 * np.sum(z**2, 1) - np.log(2 * np.pi)
    decode = jax.jit(lambda y: model.apply({"params": params}, z, jnp.full(len(z), y), method="decode"))
    log_qy = np.asarray(model.apply({"params": params}, X, method="classify"))
    likelihood, bound = np.zeros(4), np.zeros(4)
    for y in range(K):
        logits = np.asarray(decode(y))[:, None]
        log_px = np.sum(np.asarray(X)[None] * logits - np.log1p(np.exp(logits)), axis=(2, 3, 4))  # [grid, B]
        likelihood += np.sum(area * np.exp(log_pz[:, None] + log_px), axis=0) / K
        q = model.apply({"params": params}, X, jnp.full(4, y), method="style")
        mean, deviation = np.asarray(q.mean), np.exp(0.5 * np.asarray(q.log_var))
        scaled = (z[:, None] - mean) / deviation
        log_qz = -0.5 * np.sum(scaled**2, axis=2) - np.sum(np.log(deviation), axis=1) - np.log(2 * np.pi)
        of_class = np.sum(area * np.exp(log_qz) * (log_px + log_pz[:, None] - log_qz), axis=0) - np.log(K)
        bound += np.exp(log_qy[:, y]) * (of_class - log_qy[:, y])
    run = jax.jit(jax.vmap(lambda keys: class_bound(model.apply({"params": params}, keys, X), jnp.full(4, -1))))
    draws = np.asarray(run(jax.vmap(lambda key: jax.random.split(key, 4))(jax.random.split(jax.random.key(2), 1000))))
    assert np.all(np.abs(np.mean(draws, axis=0) - bound) < 4 * np.std(draws, axis=0) / np.sqrt(1000))
    assert np.all(bound < np.log(likelihood))


@pytest.mark.slow
def test_gradient_reaches_the_classifier_through_the_unknown_classes_alone(model, params):
    def loss(params, labels):
        return jnp.mean(class_bound(model.apply({"params": params}, KEYS, X), labels))

    unknown, known = (jax.grad(loss)(params, jnp.full(4, label))["classifier"] for label in (-1, 1))
    assert any(np.any(leaf) for leaf in jax.tree.leaves(unknown))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(known))
