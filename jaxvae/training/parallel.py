"""How the step is run on devices: the one file that knows them."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.training.step import TrainStep
from jaxvae.types import Array, Batch, Dataset, Metrics, TrainState


def on_device(dataset: Dataset) -> Dataset:
    """Return the data set in device memory, as it is: 60,000 MNIST images are 47 MB of uint8."""
    return jax.tree.map(jnp.asarray, dataset)


def scan_steps(train_step: TrainStep) -> jax.stages.Wrapped:
    """Return a program that runs many steps on data that stay on the device, without returning to Python between them.

    Args:
      train_step: one step.

    Returns:
      (state, dataset, indices [T, B]) -> (state, metrics [T]), compiled, the state donated. Step t takes the rows
      indices[t] of the data set; a new T compiles a new program.
    """

    def many_steps(state: TrainState, dataset: Dataset, indices: Array) -> tuple[TrainState, Metrics]:
        def one(state: TrainState, rows: Array) -> tuple[TrainState, Metrics]:
            return train_step(state, take(dataset, rows))

        return jax.lax.scan(one, state, indices)

    return jax.jit(many_steps, donate_argnums=0)


def take(dataset: Dataset, rows: Array) -> Batch:
    """Return a batch of rows [B] of a data set, inside a compiled program."""
    pick = lambda leaf: jnp.take(leaf, rows, axis=0)  # noqa: E731
    labels: Any = None if dataset.labels is None else pick(dataset.labels)
    return Batch(x=jax.tree.map(pick, dataset.x), labels=labels, mask=jnp.ones(rows.shape, jnp.float32))
