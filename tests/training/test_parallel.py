import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.training import create_train_state, make_train_step
from jaxvae.training.parallel import on_device, scan_steps, take
from jaxvae.types import Dataset


def test_scan_steps_equals_single_steps(experiment, splits):
    train = on_device(splits.train)
    indices = jnp.asarray(np.random.default_rng(0).integers(0, 70, (5, 8)), jnp.int32)
    state = create_train_state(experiment, jax.random.key(0), take(train, indices[0]))
    step = make_train_step(experiment.loss, experiment.optimizer)
    expected = jax.tree.map(jnp.copy, state._replace(key=None))._replace(key=state.key)
    losses = []
    for rows in indices:
        expected, metrics = jax.jit(step)(expected, take(train, rows))
        losses.append(float(metrics["loss"]))
    new, metrics = scan_steps(step)(state, train, indices)
    chex.assert_trees_all_close(new.params, expected.params, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(metrics["loss"], losses, rtol=1e-5)


def test_take_picks_rows_of_images_and_labels():
    dataset = Dataset(jnp.arange(12).reshape(6, 2), jnp.arange(6) * 10)
    batch = take(dataset, jnp.array([4, 1]))
    np.testing.assert_array_equal(batch.x, [[8, 9], [2, 3]])
    np.testing.assert_array_equal(batch.labels, [40, 10])
    np.testing.assert_array_equal(batch.mask, [1, 1])
