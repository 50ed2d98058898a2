import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.keys import example_keys
from jaxvae.training import create_train_state, make_train_step
from jaxvae.training.checkpoint import Best
from jaxvae.training.step import step_keys
from jaxvae.types import Batch, StepInput
from tests.training.conftest import make_system


def batch_of(splits, num=16):
    return Batch(jnp.asarray(splits.train.x[:num]), None, jnp.ones(num))


@pytest.fixture(params=["cpu", "gpu"])
def backend(request, monkeypatch):
    """Both ways to keep the old state: by a branch and by selection."""
    monkeypatch.setattr(jax, "default_backend", lambda: request.param)


def test_make_train_step_equals_sgd_by_hand(splits):
    system = make_system(optax.sgd(0.1))
    batch = batch_of(splits)
    state = create_train_state(system, jax.random.key(0), batch)
    new, metrics = jax.jit(make_train_step(system.trainable.players))(state, batch)
    inputs = StepInput(batch, step_keys(state, 16), state.step, state.hparams)
    (loss, _), grads = jax.value_and_grad(system.trainable.players[0].loss, has_aux=True)(state.params, {}, inputs)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, grads)
    chex.assert_trees_all_close(new.params, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-6)
    np.testing.assert_allclose(metrics["grad_norm"], optax.tree.norm(grads), rtol=1e-5)
    assert int(new.step) == 1
    assert metrics["finite"] == 1


def test_make_train_step_traces_once_over_steps(system, splits):
    batch = batch_of(splits)
    state = create_train_state(system, jax.random.key(0), batch)
    step = jax.jit(chex.assert_max_traces(make_train_step(system.trainable.players), n=1))
    for _ in range(4):
        state, _ = step(state, batch)
    assert int(state.step) == 4


def test_make_train_step_freezes_at_a_loss_that_is_not_finite(splits, backend):
    system = make_system(optax.adam(1e-2), poison_at=2)
    batch = batch_of(splits)
    state = create_train_state(system, jax.random.key(0), batch, keep_ema=True)
    step = jax.jit(make_train_step(system.trainable.players, ema_decay=0.5))
    finite = []
    states = [state]
    for _ in range(4):
        state, metrics = step(state, batch)
        finite.append(float(metrics["finite"]))
        states.append(state)
    assert finite == [1, 1, 0, 0]
    assert int(state.step) == 2
    chex.assert_trees_all_equal(state._replace(key=None), states[2]._replace(key=None))
    chex.assert_tree_all_finite((state.params, state.opt_state, state.ema_params))


@pytest.mark.parametrize("share", [0.25, 2.0])
def test_make_train_step_clips_the_global_norm(share, splits):
    system = make_system(optax.sgd(0.1))
    batch = batch_of(splits)
    state = create_train_state(system, jax.random.key(0), batch)
    plain, metrics = jax.jit(make_train_step(system.trainable.players))(state, batch)
    norm = float(metrics["grad_norm"])
    step = make_train_step(system.trainable.players, clip_norm=share * norm)
    clipped, found = jax.jit(step)(state, batch)
    scale = min(share, 1.0)
    expected = jax.tree.map(lambda old, new: old + scale * (new - old), state.params, plain.params)
    chex.assert_trees_all_close(clipped.params, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found["grad_norm"], norm, rtol=1e-6)  # before clipping


def test_make_train_step_skips_large_and_broken_gradients_and_goes_on(splits, backend):
    system = make_system(optax.adam(1e-2), poison_at=1)
    batch = batch_of(splits)
    state = create_train_state(system, jax.random.key(0), batch, keep_ema=True)
    step = jax.jit(make_train_step(system.trainable.players, ema_decay=0.5, skip_norm=1e6))
    states, skipped = [state], []
    for _ in range(3):
        state, metrics = step(state, batch)
        states.append(state)
        skipped.append(float(metrics["skipped"]))
        assert metrics["finite"] == 1
    assert skipped == [0, 1, 0]
    assert [int(state.step) for state in states] == [0, 1, 2, 3]
    chex.assert_trees_all_equal(states[2]._replace(key=None, step=0), states[1]._replace(key=None, step=0))
    small = jax.jit(make_train_step(system.trainable.players, skip_norm=1e-3))
    same, metrics = small(states[0], batch)
    assert metrics["skipped"] == 1
    chex.assert_trees_all_equal(same.params, states[0].params)


def test_make_train_step_keeps_the_moving_average(system, splits, backend):
    batch = batch_of(splits)
    state = create_train_state(system, jax.random.key(0), batch, keep_ema=True)
    step = jax.jit(make_train_step(system.trainable.players, ema_decay=0.15))
    expected = jax.tree.map(np.asarray, state.params)
    for decay in (1 / 10, 0.15, 0.15):  # (1 + t) / (10 + t) until that exceeds the decay
        state, _ = step(state, batch)
        expected = jax.tree.map(lambda e, p: decay * e + (1 - decay) * np.asarray(p), expected, state.params)  # noqa: B023
    chex.assert_trees_all_close(state.ema_params, expected, rtol=1e-5, atol=1e-7)


def test_make_train_step_on_replicas_equals_one_device(splits):
    # SGD, not Adam, which would hide a wrong factor in the gradient.
    system = make_system(optax.sgd(0.1))
    batch = batch_of(splits)
    state = create_train_state(system, jax.random.key(0), batch)
    one = jax.jit(make_train_step(system.trainable.players))
    replicated = jax.pmap(
        make_train_step(system.trainable.players, axis_name="data"), axis_name="data", in_axes=(None, 0)
    )
    sharded = Batch(batch.x.reshape(8, 2, *batch.x.shape[1:]), None, batch.mask.reshape(8, 2))
    expected, metrics = one(state, batch)
    new, replica_metrics = replicated(state, sharded)
    everywhere = jax.tree.map(lambda p: np.broadcast_to(p, (8, *p.shape)), expected.params)
    chex.assert_trees_all_close(new.params, everywhere, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(replica_metrics["loss"], np.full(8, metrics["loss"]), rtol=1e-5)


def test_step_keys_belong_to_step_and_example(system, splits):
    state = create_train_state(system, jax.random.key(0), batch_of(splits))
    at = lambda step, num: step_keys(state._replace(step=jnp.int32(step)), num)  # noqa: E731
    data = lambda key: np.asarray(jax.random.key_data(key))  # noqa: E731
    np.testing.assert_array_equal(data(at(3, 4).examples), data(at(3, 9).examples)[:4])
    everything = np.concatenate([data(at(step, 5).examples) for step in range(3)] + [data(at(0, 5).shared)[None]])
    assert len(np.unique(everything, axis=0)) == 16


def test_example_keys_fold_in_the_index():
    key = jax.random.key(1)
    keys = example_keys(key, jnp.array([4, 0]))
    expected = [jax.random.key_data(jax.random.fold_in(key, index)) for index in (4, 0)]
    np.testing.assert_array_equal(jax.random.key_data(keys), np.stack(expected))


@pytest.mark.parametrize("keep_ema", [False, True])
def test_create_train_state_can_be_donated(system, splits, keep_ema):
    batch = batch_of(splits)
    state = create_train_state(system, jax.random.key(0), batch, keep_ema=keep_ema)
    step = jax.jit(make_train_step(system.trainable.players, ema_decay=0.9), donate_argnums=0)
    new, _ = step(state, batch)
    assert int(new.step) == 1


def test_create_train_state_takes_given_params_state_and_hparams(system, splits):
    batch = batch_of(splits)
    other = Best(create_train_state(system, jax.random.key(5), batch).params, {"seen": jnp.float32(7.0)})
    state = create_train_state(system, jax.random.key(0), batch, start=other, hparams={"beta": 3.0})
    chex.assert_trees_all_equal((state.params, state.model_state), tuple(other))
    assert float(state.hparams["beta"]) == 3.0
