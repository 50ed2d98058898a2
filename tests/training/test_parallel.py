"""The same numbers under every layout, on any number of devices. SGD: Adam would hide a factor in the gradient."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

from jaxvae.data import batch_indices
from jaxvae.errors import UserError
from jaxvae.training import Program, create_train_state, make_layout, make_train_step, program, shard_large
from jaxvae.training.parallel import contains_convolutions, create, shardings, take
from jaxvae.training.step import step_keys
from jaxvae.training.trainer import first_batch
from jaxvae.types import Dataset, StepInput
from tests.training.conftest import make_system

LAYOUTS = [
    ("step", 1),
    ("scan", 1),
    ("sharded", 1),
    ("sharded", 2),
    ("sharded", 8),
    ("pmap", 1),
    ("pmap", 2),
    ("pmap", 8),
]
STEPS, BATCH = 3, 16


def trained(system, splits, kind, num_devices, rule=None):
    """State and metrics after some steps, as numpy arrays."""
    layout = make_layout(kind, num_devices, rule)
    rows = batch_indices(0, len(splits.train.x), BATCH, 0, STEPS)
    start = first_batch(splits.train, np.arange(len(splits.train.x)), len(splits.train.x))

    def initial(key, batch):
        return create_train_state(system, key, batch, keep_ema=True)

    state = create(layout, initial, jax.random.key(0), start)
    make_step = lambda axis_name: make_train_step(  # noqa: E731
        system.trainable.players, ema_decay=0.5, axis_name=axis_name
    )
    program = Program(layout, make_step, splits.train, BATCH)
    state, metrics = program(state, program.feed(rows))
    assert jax.tree.leaves(state.params)[0].sharding.mesh.size == num_devices
    return jax.device_get((state.params, state.ema_params)), jax.device_get(metrics), state


@pytest.fixture
def expected(splits):
    """Plain steps, without any of the layouts."""
    system = make_system(optax.sgd(0.5), noisy=True)
    start = first_batch(splits.train, np.arange(len(splits.train.x)), len(splits.train.x))
    state = create_train_state(system, jax.random.key(0), start, keep_ema=True)
    step = jax.jit(make_train_step(system.trainable.players, ema_decay=0.5))
    collected = []
    for rows in batch_indices(0, len(splits.train.x), BATCH, 0, STEPS):
        state, metrics = step(state, take(splits.train, rows))
        collected.append(metrics)
    metrics = jax.tree.map(lambda *values: np.stack(values), *collected)
    return jax.device_get((state.params, state.ema_params)), metrics


@pytest.mark.parametrize(("kind", "num_devices"), LAYOUTS)
def test_every_layout_gives_the_same_numbers(kind, num_devices, splits, expected):
    params, metrics, state = trained(make_system(optax.sgd(0.5), noisy=True), splits, kind, num_devices)
    chex.assert_trees_all_close(params, expected[0], rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(metrics, expected[1], rtol=1e-5, atol=1e-6)
    assert int(state.step) == STEPS


@pytest.mark.parametrize("kind", ["scan", "sharded", "pmap"])
def test_data_fed_from_host_memory_give_the_same_numbers(kind, splits, expected, monkeypatch):
    monkeypatch.setattr(program, "_fits", lambda layout, dataset: False)
    num_devices = 1 if kind == "scan" else 8
    params, metrics, _ = trained(make_system(optax.sgd(0.5), noisy=True), splits, kind, num_devices)
    chex.assert_trees_all_close(params, expected[0], rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(metrics, expected[1], rtol=1e-5, atol=1e-6)


def test_parameters_divided_among_devices_give_the_same_numbers(splits, expected):
    rule = shard_large(8, min_size=32)
    params, metrics, state = trained(make_system(optax.sgd(0.5), noisy=True), splits, "sharded", 8, rule)
    chex.assert_trees_all_close(params, expected[0], rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(metrics, expected[1], rtol=1e-5, atol=1e-6)
    assert state.params["kernel"].addressable_data(0).shape == (2, 2)  # of [16, 2]


def test_create_gives_birth_to_divided_leaves():
    layout = make_layout("sharded", 8, shard_large(8, min_size=64))
    tree = create(layout, lambda: {"large": jnp.ones((5, 16)), "small": jnp.ones(8), "odd": jnp.ones((9, 9))})
    assert {name: leaf.addressable_data(0).shape for name, leaf in tree.items()} == {
        "large": (5, 2),
        "small": (8,),
        "odd": (9, 9),
    }


def test_a_rule_sees_paths_and_shapes():
    seen = {}

    def rule(path, shape):
        seen[path] = shape
        return PartitionSpec()

    shardings(make_layout("sharded", 2, rule), {"params": {"dense": jnp.ones((2, 3))}, "step": jnp.ones(())})
    assert seen == {"params.dense": (2, 3), "step": ()}


def test_a_program_compiles_once_for_a_number_of_steps(system, splits):
    layout = make_layout("scan")
    state = create(
        layout, lambda key: create_train_state(system, key, take(splits.train, np.arange(8))), jax.random.key(0)
    )
    traces = []

    def make_step(axis_name):
        step = make_train_step(system.trainable.players, axis_name=axis_name)
        return lambda *arguments: (traces.append(1), step(*arguments))[1]

    program = Program(layout, make_step, splits.train, 8)
    rows = batch_indices(0, 70, 8, 0, 4)
    for _ in range(3):
        state, _ = program(state, program.feed(rows))
    assert len(traces) == 1
    assert program.compile_seconds > 0


def test_make_layout_chooses():
    assert make_layout().kind == "scan"  # on a CPU one device, whatever their number
    assert make_layout().mesh.size == 1
    assert make_layout(uses_convolutions=True).kind == "step"
    assert make_layout(num_devices=4).kind == "sharded"
    assert make_layout("sharded", 4).mesh.size == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sharded", 9), "9 devices are asked for, expected 1 to 8"),
        (("sharded", 0), "0 devices are asked for"),
        (("scan", 2), "The layout scan runs on one device, 2 are asked for: choose sharded or pmap"),
        (("rows", 1), "The layout is 'rows', expected one of step, scan, pmap, sharded"),
        (("pmap", 2, shard_large(2)), "The layout pmap replicates parameters: choose sharded"),
    ],
)
def test_make_layout_refuses(arguments, message):
    with pytest.raises(UserError, match=message):
        make_layout(*arguments)


def test_program_refuses_a_batch_that_the_devices_do_not_divide(splits):
    with pytest.raises(UserError, match="A batch of 12 cannot be divided evenly among 8 devices"):
        Program(make_layout("sharded", 8), lambda axis_name: None, splits.train, 12)


def test_contains_convolutions_looks_into_inner_programs(system, splits):
    batch = take(splits.train, np.arange(8))
    state = create_train_state(system, jax.random.key(0), batch)
    inputs = StepInput(batch, step_keys(state, 8), state.step, state.hparams)
    assert not contains_convolutions(system.trainable.players[0].loss, state, inputs)

    def convolved(params, model_state, inputs):
        kernel = jnp.ones((1, 1, 2, 2))
        inner = jax.jit(lambda x: jax.lax.conv(x.transpose(0, 3, 1, 2), kernel, (1, 1), "SAME"))
        return jnp.sum(inner(inputs.batch.x.astype(jnp.float32))), (model_state, {})

    assert contains_convolutions(convolved, state, inputs)


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
def test_take_picks_rows_of_images_and_labels(array):
    dataset = Dataset(array(np.arange(12).reshape(6, 2)), array(np.arange(6) * 10))
    batch = take(dataset, array([4, 1]))
    np.testing.assert_array_equal(batch.x, [[8, 9], [2, 3]])
    np.testing.assert_array_equal(batch.labels, [40, 10])
    np.testing.assert_array_equal(batch.mask, [1, 1])
