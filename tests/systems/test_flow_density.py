"""Flows on densities in the plane as systems: members of one program, annealing, gradients, the state they leave."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.capabilities import Generates, require
from jaxvae.flows.planar_chain import sample
from jaxvae.systems import flow_density
from jaxvae.systems.flow_density import (
    SPEC,
    TARGETS,
    FitsDensity,
    density_splits,
    flow_density_system,
    in_use,
    target_of,
)
from jaxvae.targets import gaussian_mixture
from jaxvae.training import Member, Settings, create_train_state, fit_sweep, make_train_step
from jaxvae.types import Batch, StepInput, StepKeys

NOTHING = Batch(np.zeros((3, 1), np.uint8), None, np.ones(3, np.float32))  # reverse KL has no data
KEYS = StepKeys(jax.random.split(jax.random.key(1), 3), jax.random.key(0))


def system_of(**changes):
    options = {"target": "mixture", "num_flows": 2, "base": "fixed", "objective": "reverse_kl", "gradient": "path"}
    options |= {"max_flows": 2, "anneal_steps": 0.0, "optimizer": optax.adam(1e-2)}
    return flow_density_system(name="planar_density", **options | changes)


def inputs_of(system, step=10, keys=KEYS, batch=NOTHING):
    hparams = {name: jnp.float32(value) for name, value in system.trainable.hparams.items()}
    return StepInput(batch, keys, jnp.int32(step), hparams)


@pytest.mark.slow
def test_path_gradient_has_the_same_mean_and_no_variance_at_the_optimum(monkeypatch):
    # With no layer in use and a learned base, q is a Gaussian; for a Gaussian target the optimum is known.
    def gradients(mode, target, params, num):
        system = system_of(target=target, num_flows=0, base="learned", gradient=mode)
        loss = system.trainable.players[0].loss

        def one(key):
            inputs = inputs_of(system, keys=StepKeys(jax.random.split(key, 1), key))
            inputs = inputs._replace(batch=jax.tree.map(lambda leaf: leaf[:1], NOTHING))
            return jax.grad(lambda params: loss(params, {}, inputs)[0])(params)["base"]

        return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), num))

    params, num = system_of().parts.init(jax.random.key(0), None)[0], 5_000
    total, path = (gradients(mode, "mixture", params, num) for mode in ("total", "path"))
    for name in params["base"]:
        a, b = (np.asarray(tree[name], np.float64).reshape(num, -1) for tree in (total, path))
        error = np.sqrt((a.var(0) + b.var(0)) / num)
        assert np.all(np.abs(a.mean(0) - b.mean(0)) < 5 * error)
    monkeypatch.setitem(TARGETS, "standard", gaussian_mixture(1.0, offset=0.0))
    for leaf in jax.tree.leaves(gradients("path", "standard", params, 3)):
        np.testing.assert_allclose(leaf, np.zeros(leaf.shape), atol=1e-5)


@pytest.mark.parametrize(("anneal_steps", "expected"), [(0.0, 1.0), (50.0, 0.01)])
def test_beta_at_the_first_step(anneal_steps, expected):
    system = system_of(anneal_steps=anneal_steps)
    inputs = inputs_of(system, step=0)
    params, _ = system.trainable.init(jax.random.key(0), None)
    loss, (_, metrics) = system.trainable.players[0].loss(params, {}, inputs)
    values = system.trainable.evaluate(params, {}, KEYS.examples, NOTHING, inputs.hparams)
    used = in_use(inputs.hparams)
    log_q = jax.vmap(lambda key: sample(params, used, jax.random.normal(key, (2,)))[1])(KEYS.examples)
    np.testing.assert_allclose(metrics["kl"], np.mean(values["kl"]), rtol=1e-5)
    np.testing.assert_allclose(loss, np.mean(log_q - expected * (log_q - values["kl"])), rtol=1e-4)


def test_hyper_parameters_choose_the_target():
    first, other = system_of(), system_of(target="U2")
    params, _ = first.trainable.init(jax.random.key(0), None)
    kl = lambda system, given: system.trainable.evaluate(  # noqa: E731
        params, {}, KEYS.examples, NOTHING, inputs_of(given).hparams
    )["kl"]
    np.testing.assert_allclose(kl(first, other), kl(other, other), rtol=1e-6)
    assert not np.allclose(kl(first, other), kl(first, first))


@pytest.mark.slow
def test_a_step_leaves_what_the_flow_uses_in_the_model_state():
    """Also where the program was made for another flow, as those of a study are."""
    system, other = system_of(max_flows=5), system_of(max_flows=5, target="U1", num_flows=4, base="learned")
    state = create_train_state(system, jax.random.key(0), NOTHING, hparams=other.trainable.hparams)
    after, _ = jax.jit(make_train_step(system.trainable.players))(state, NOTHING)
    assert after.model_state == {"target": 2.0, "num_flows": 4.0, "learned_base": 1.0}
    assert target_of(after.model_state) is TARGETS["U1"]
    fits, generates = require(system, FitsDensity), require(system, Generates)
    key = jax.random.key(3)
    noise = jax.random.normal(key, (6, 2))
    drawn = generates.sample(key, after.params, after.model_state, 6).x
    np.testing.assert_array_equal(drawn, fits.points(after.params, after.model_state, noise, jnp.float32(4)))
    want = jax.vmap(lambda noise: sample(after.params, in_use(after.model_state), noise)[1])(noise)
    found = jax.jit(fits.log_density)(after.params, after.model_state, drawn)
    np.testing.assert_allclose(found, want, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_maximum_likelihood_of_a_gaussian_finds_it(monkeypatch):
    # A learned base alone can be the target: KL 0 is reached but for the noise of the draws.
    monkeypatch.setitem(TARGETS, "narrow", gaussian_mixture(0.5, offset=0.0))
    monkeypatch.setattr(flow_density, "NUM_TRAIN", 20_000)
    system = system_of(num_flows=1, max_flows=1, base="learned", objective="likelihood")
    splits = density_splits("likelihood", 0, 256)
    assert splits.train.x.shape == (20_000, len(TARGETS), 2)
    settings = Settings(steps=300, batch_size=256, eval_every=300, eval_batch_size=2_000)
    members = [Member(0, {**system.trainable.hparams, "target": i}) for i in (0.0, 1.0)]
    mixture, gaussian = fit_sweep(system, splits, members, settings)
    divergence = require(system, FitsDensity).divergence
    assert 0 < divergence(*gaussian.best)[0] < 0.01
    assert divergence(*mixture.best)[0] > 0.02


def test_reverse_kl_needs_no_data():
    splits = density_splits("reverse_kl", 0, 16)
    assert [part.x.shape for part in splits] == [(16, 1), (flow_density.NUM_VALID, 1), (1, 1)]
    assert SPEC.shape == (2,)
