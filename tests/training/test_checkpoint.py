import os
import subprocess
import sys
import textwrap

import chex
import jax
import jax.numpy as jnp
import pytest

from jaxvae.errors import UserError
from jaxvae.training import Checkpoints, Saved, create_train_state, evaluated_params, make_train_step
from jaxvae.types import Batch, LoopState


@pytest.fixture
def saved(system, splits):
    batch = Batch(jnp.asarray(splits.train.x[:8]), None, jnp.ones(8))
    state = create_train_state(system, jax.random.key(0), batch, keep_ema=True)
    best = jax.tree.map(lambda leaf: leaf + 1.0, evaluated_params(state))
    return Saved(state, best, LoopState(3.5, 4, 2, 1.5, 0))


def abstract(tree):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree)


def test_checkpoints_keep_the_latest(saved, tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (1, 2, 3, 4):
            checkpoints.save(step, saved)
    assert sorted(int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()) == [3, 4]


def test_checkpoints_restore_what_was_saved(saved, tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, saved)
    like = saved._replace(state=abstract(saved.state), best=abstract(saved.best))
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest_step() == 7
        restored = checkpoints.restore(7, like)
        best = checkpoints.restore_best(like.best)
    assert restored.loop == saved.loop
    chex.assert_trees_all_equal(restored.state._replace(key=None), saved.state._replace(key=None))
    assert jnp.array_equal(jax.random.key_data(restored.state.key), jax.random.key_data(saved.state.key))
    chex.assert_trees_all_equal(restored.best, saved.best)
    chex.assert_trees_all_equal(best, saved.best)


def test_parameters_that_nothing_has_judged_are_not_the_best(saved, tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, saved._replace(loop=saved.loop._replace(best_step=0)))
        checkpoints.wait()
        with pytest.raises(UserError, match="stopped before it was evaluated: resume it"):
            checkpoints.restore_best(abstract(saved.best))


def test_checkpoints_save_copies_a_state_that_is_donated(system, splits, saved, tmp_path):
    batch = Batch(jnp.asarray(splits.train.x[:8]), None, jnp.ones(8))
    step = jax.jit(make_train_step(system.trainable.players), donate_argnums=0)
    state = saved.state
    before = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), state.params)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(0, saved)
        for _ in range(3):
            state, _ = step(state, batch)
        checkpoints.wait()
        restored = checkpoints.restore(0, saved._replace(state=state))
    chex.assert_trees_all_equal(restored.state.params, before)


def test_checkpoints_of_another_model_are_refused(saved, tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, saved)
        other = saved.best._replace(params={"another": jnp.ones(3)})
        with pytest.raises(UserError, match=r"Checkpoint 7 in .* is of another model: best\.params\.\w+.*missing"):
            checkpoints.restore_best(other)


def test_checkpoints_remove_what_an_interrupted_save_left(saved, tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, saved)
    stale = tmp_path / "9.orbax-checkpoint-tmp"
    (stale / "state").mkdir(parents=True)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest_step() == 7
        checkpoints.save(8, saved)
        checkpoints.save(9, saved)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["8", "9"]


SAVE_ON_A_FULL_DISK = """
    import pathlib, resource, signal, sys
    import jax.numpy as jnp
    from jaxvae.errors import UserError
    from jaxvae.training import Best, Checkpoints, Saved
    from jaxvae.types import LoopState, TrainState

    def saved(size):
        state = TrainState(jnp.int32(0), {"w": jnp.arange(float(size))}, (), {}, None, {}, None)
        return Saved(state, Best(state.params, {}), LoopState(0.0, 0, 0, 0.0, 0))

    folder = pathlib.Path(sys.argv[1])
    checkpoints = Checkpoints(folder)
    checkpoints.save(1, saved(10))
    checkpoints.wait()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as on a full disk, writing then fails
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        checkpoints.save(2, saved(1_000_000))
        checkpoints.wait()
    except UserError as error:
        print(error)
    print(checkpoints.all_steps())
"""


def test_checkpoints_report_a_save_that_failed_and_keep_the_older_ones(tmp_path):
    script = textwrap.dedent(SAVE_ON_A_FULL_DISK)
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "c")],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert "could not be saved (" in result.stdout, result.stderr
    assert "Finished checkpoints are untouched: 1." in result.stdout
    assert result.stdout.splitlines()[-1] == "[1]"
    assert (tmp_path / "c" / "1").is_dir()


def test_checkpoints_in_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Checkpoints(tmp_path / "file" / "checkpoints")
