import chex
import jax
import jax.numpy as jnp
import pytest

from jaxvae.training import Checkpoints, create_train_state, make_train_step
from jaxvae.types import Batch, LoopState


@pytest.fixture
def state(experiment, splits):
    batch = Batch(jnp.asarray(splits.train.x[:8]), None, jnp.ones(8))
    return create_train_state(experiment, jax.random.key(0), batch, keep_ema=True)


def at(state, step):
    return state._replace(step=jnp.int32(step))


def test_checkpoints_keep_the_latest_and_the_best(state, tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step, loss in [(1, 5.0), (2, 3.0), (3, 3.0), (4, 4.0), (5, 6.0), (6, 7.0)]:
            checkpoints.save(at(state, step), LoopState(3.0, 2, 0, 1.5), loss)
    assert sorted(int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()) == [2, 5, 6]


def test_checkpoints_restore_what_was_saved(state, tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(at(state, 7), LoopState(3.5, 4, 2, 1.5), 4.0)
    like = jax.eval_shape(lambda: state)
    like = jax.tree.map(lambda a, b: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=b.sharding), like, state)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest_step() == 7
        restored, loop = checkpoints.restore(7, like)
    assert loop == LoopState(3.5, 4, 2, 1.5)
    chex.assert_trees_all_equal(restored._replace(key=None), at(state, 7)._replace(key=None))
    assert jnp.array_equal(jax.random.key_data(restored.key), jax.random.key_data(state.key))


def test_checkpoints_save_copies_a_state_that_is_donated(experiment, splits, state, tmp_path):
    batch = Batch(jnp.asarray(splits.train.x[:8]), None, jnp.ones(8))
    step = jax.jit(make_train_step(experiment.loss, experiment.optimizer), donate_argnums=0)
    before = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), state.params)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, LoopState(1.0, 0, 0, 0.0), 1.0)
        for _ in range(3):
            state, _ = step(state, batch)
        checkpoints.wait()
        restored, _ = checkpoints.restore(0, state)
    chex.assert_trees_all_equal(restored.params, before)
