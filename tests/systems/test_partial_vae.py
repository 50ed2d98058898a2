"""Completions by an encoder of masked images, on images that can all be counted."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.capabilities import Completes, ScoresCompletions, require
from jaxvae.errors import UserError
from jaxvae.flows import CouplingFlow
from jaxvae.likelihoods import bernoulli
from jaxvae.models import VAE
from jaxvae.models.partial_posterior import PartialPosterior
from jaxvae.nets import MLP, ImageDecoder, MLPEncoder
from jaxvae.posteriors import GaussianPosterior
from jaxvae.priors import ConditionalFlowPrior
from jaxvae.systems.bounds import closed_bound
from jaxvae.systems.partial_vae import CANDIDATES, HasPartialPosterior, partial_vae_system
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import create_train_state, make_train_step
from jaxvae.types import Batch, DataSpec

SPEC = DataSpec((2, 2, 1), 2, 0)
EVERY_X = np.array(list(itertools.product((0.0, 1.0), repeat=4)), np.float32).reshape(-1, 2, 2, 1)
KEYS = jax.random.split(jax.random.key(0), 16)
KNOWN = np.array([[True, False], [False, True]])
Z = jnp.linspace(-15.0, 15.0, 6_001).reshape(-1, 1, 1)  # for integrals over the latent
STEP = 30.0 / 6_000


def small(**changes):
    """A VAE of one latent with its encoder of masked images, as a system."""
    decoder = ImageDecoder(MLP((3,), nn.tanh), bernoulli().param_shapes(SPEC.shape))
    vae = VAE(MLPEncoder((4,), nn.tanh), GaussianPosterior(1), decoder, bernoulli(), **changes)
    density = ConditionalFlowPrior(CouplingFlow(1, 2, (3,), amortized=True))
    return partial_vae_system(
        name="small",
        spec=SPEC,
        vae=vae,
        partial=PartialPosterior(MLPEncoder((4,), nn.tanh), density),
        prepare=binary_pixels(SPEC),
        bound=closed_bound(vae),
        optimizers=(optax.adam(1e-2), optax.adam(1e-2)),
        hparams={"beta": 1.0, "warmup_steps": 0, "free_bits": 0.0},
    )


def drawn(system):
    """Parameters of some size, of a q(z | x) and an r(z | known) that are wide."""
    batch = Batch(EVERY_X.astype(np.uint8), None, np.ones(16, np.float32))
    shapes, _ = jax.eval_shape(system.trainable.init, jax.random.key(0), batch)
    generator = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: jnp.float32(1.5 * generator.standard_normal(leaf.shape)), shapes)
    statistics = {"kernel": 0.1 * params["posterior"]["statistics"]["kernel"], "bias": jnp.array([0.0, 1.5])}
    partial = jax.tree.map(lambda leaf: 0.3 * leaf, params["partial"])
    return {**params, "posterior": {"statistics": statistics}, "partial": partial}


def densities(system, params, x):
    """log p(pixels | z) of one image [Z, 4], log p(z) and log r(z | known), [Z], at all points of the integrals."""
    parts = system.parts
    logits = parts.vae.apply({"params": params}, Z, method="decode").reshape(-1, 4)
    log_px = np.where(x.reshape(4) == 1, jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits))
    log_pz = parts.vae.apply({"params": params}, Z, method="log_prior")[:, 0]
    log_r = parts.partial.apply({"params": params["partial"]}, x[None], KNOWN[None], Z, method="log_prob")[:, 0]
    return log_px, np.asarray(log_pz), np.asarray(log_r)


@pytest.mark.slow
def test_log_p_of_unknown_pixels_is_that_of_latents_given_the_known_ones():
    system = small()
    params, able = drawn(system), require(system, ScoresCompletions)
    known = jnp.broadcast_to(KNOWN, (16, 2, 2))
    found = jax.jit(able.log_prob, static_argnums=6)(params, {}, KEYS, jnp.asarray(EVERY_X), None, known, 20_000)
    expected = []
    for x in EVERY_X:
        log_px, _, log_r = densities(system, params, x)
        expected.append(np.log(np.sum(np.exp(log_px[:, ~KNOWN.reshape(4)].sum(axis=1) + log_r)) * STEP))
    np.testing.assert_allclose(found, expected, atol=0.03)
    same = (EVERY_X[:, None, KNOWN] == EVERY_X[None][:, :, KNOWN]).all(axis=(2, 3))
    np.testing.assert_allclose(np.where(same, np.exp(expected), 0).sum(axis=1), 1.0, atol=1e-3)
    assert not able.is_exact(np.asarray(known)).any()


@pytest.mark.slow
def test_completions_cover_the_images_by_their_probabilities(monkeypatch):
    """By weights of many latents those of the VAE, whatever r is; of one each those of r."""
    system, num, x = small(), 4_000, EVERY_X[1]
    params, able = drawn(system), require(system, Completes)
    log_px, log_pz, log_r = densities(system, params, x)
    every = np.array(list(itertools.product((0, 1), repeat=2)))
    p_one = np.exp(jax.nn.log_sigmoid(system.parts.vae.apply({"params": params}, Z, method="decode").reshape(-1, 4)))
    of_z = np.stack([np.where(bits == 1, p_one[:, [1, 2]], 1 - p_one[:, [1, 2]]).prod(axis=1) for bits in every])
    given = jnp.broadcast_to(x, (num, *x.shape)), jnp.broadcast_to(KNOWN, (num, 2, 2))
    for candidates, log_weights in ((1, log_r), (200, log_pz + log_px[:, KNOWN.reshape(4)].sum(axis=1))):
        expected = of_z @ np.exp(log_weights)
        expected /= expected.sum()
        monkeypatch.setattr("jaxvae.systems.partial_vae.CANDIDATES", candidates)
        keys = jax.random.split(jax.random.key(candidates), num)
        found = jax.jit(lambda keys: able.complete(params, {}, keys, given[0], None, given[1], 1))(keys).x[0]
        np.testing.assert_array_equal(np.asarray(found)[:, KNOWN], np.tile(x[KNOWN], (num, 1, 1)))
        counts = np.bincount(np.asarray(found)[:, ~KNOWN, 0].astype(int) @ [2, 1], minlength=4) / num
        np.testing.assert_allclose(counts, expected, atol=4 * np.sqrt(0.25 / num) + 0.01)
    assert CANDIDATES > 1


@pytest.mark.slow
def test_each_part_is_trained_by_its_own_loss():
    system = small()
    batch = Batch(EVERY_X.astype(np.uint8), None, np.ones(16, np.float32))
    state = create_train_state(system, jax.random.key(0), batch)
    step = jax.jit(make_train_step(system.trainable.players))
    first = None
    for _ in range(200):
        state, metrics = step(state, batch)
        first = metrics if first is None else first
    assert metrics["matching"] > first["matching"] + 0.1
    draw = require(system, HasPartialPosterior).draw
    z = draw(state.params, {}, KEYS, EVERY_X, np.broadcast_to(KNOWN, (16, 2, 2)))
    assert z.shape == (16, 1)


@pytest.mark.slow
def test_the_vae_is_trained_as_if_it_were_alone():
    system = small()
    batch = Batch(EVERY_X.astype(np.uint8), None, np.ones(16, np.float32))
    parts = {"name": "small", "spec": SPEC, "vae": system.parts.vae, "prepare": binary_pixels(SPEC)}
    options = {"bound": closed_bound(system.parts.vae), "hparams": system.trainable.hparams}
    alone = vae_system(**parts, **options, optimizer=optax.adam(1e-2))
    found = []
    for one in (system, alone):
        state, step = create_train_state(one, jax.random.key(0), batch), jax.jit(make_train_step(one.trainable.players))
        for _ in range(5):
            state, _ = step(state, batch)
        found.append({name: tree for name, tree in state.params.items() if name != "partial"})
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *found)


def test_a_model_that_cannot_complete_is_refused():
    with pytest.raises(UserError, match="small completes images by a VAE of independent pixels"):
        small(num_classes=3)
