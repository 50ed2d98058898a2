"""Values of every example of a data set, in its order, by batches of one shape."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.data import padded_batches
from jaxvae.training.parallel import AXIS, Layout, divided, local_layout, put
from jaxvae.training.step import example_keys
from jaxvae.types import Batch, Dataset, Experiment, Metrics, ModelState, Params, PRNGKey

EVALUATION = 0x6576616C  # folded into key 0: the same noise for every model and run, and none of a training's keys


def make_evaluator(
    experiment: Experiment, batch_size: int, layout: Layout | None = None, *, members: bool = False
) -> Callable[..., dict[str, np.ndarray]]:
    """Return a function that evaluates every example of a data set once.

    Args:
      experiment: gives `evaluate`.
      batch_size: examples at a time; the last batch is padded. It does not change the result: an example's noise
        depends on its index alone.
      layout: on whose devices; None takes one device of this process.
      members: whether parameters and model state have a leading axis [M], which is what the devices divide then.

    Returns:
      (params, model_state, dataset, hparams=None) -> {name: [N, ...]}, an entry an example; [M, N, ...] for members.
      Without hparams, arrays by name, those of the experiment hold.
    """
    layout = layout or local_layout()
    size = batch_size if members else -(-batch_size // layout.mesh.size) * layout.mesh.size
    spec = () if members else (AXIS,)
    compiled = _compiled(experiment.evaluate, size, layout, members)

    def evaluate(
        params: Params, model_state: ModelState, dataset: Dataset, hparams: Mapping[str, jax.Array] | None = None
    ) -> dict[str, np.ndarray]:
        given = hparams or {name: np.float32(value) for name, value in experiment.hparams.items()}

        def values(start: int, batch: Batch) -> Metrics:
            return compiled(params, model_state, np.int32(start), put(layout, batch, *spec), given)

        return in_batches(values, dataset, size, axis=int(members))

    return evaluate


def in_batches(function: Callable[[int, Batch], Any], dataset: Dataset, batch_size: int, axis: int = 0) -> Any:
    """Apply a function to a whole data set, a batch at a time.

    Args:
      function: (row of the first example, batch) -> a tree of arrays with an entry an example; the last batch is
        padded, and what is computed of the padding is left out.
      dataset: N examples.
      batch_size: examples at a time.
      axis: of the examples in the function's arrays.

    Returns:
      The tree, as numpy arrays with N entries along that axis.
    """
    parts = []
    for start, batch in padded_batches(dataset, batch_size):
        real = np.flatnonzero(np.asarray(batch.mask))
        parts.append(jax.tree.map(lambda leaf: np.take(np.asarray(leaf), real, axis), function(start, batch)))  # noqa: B023
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, axis), *parts)


def evaluation_keys(start: int | jax.Array, num: int) -> PRNGKey:
    """Return the keys [num] of evaluated examples start, start + 1, ... of a part: the same for every model and run."""
    return example_keys(jax.random.fold_in(jax.random.key(0), EVALUATION), start + jnp.arange(num))


# ---------- private


@functools.lru_cache(maxsize=4)
def _compiled(evaluate: Callable, size: int, layout: Layout, members: bool) -> Callable[..., Metrics]:
    """The program for a batch; members of a sweep that are evaluated one after another share it."""

    def one_batch(
        params: Params, model_state: ModelState, start: jax.Array, batch: Batch, hparams: Mapping[str, jax.Array]
    ) -> Metrics:
        arguments = params, model_state, evaluation_keys(start, size), batch, hparams
        if members:
            return jax.vmap(evaluate, in_axes=(0, 0, None, None, 0))(*arguments)
        return evaluate(*arguments)

    return jax.jit(one_batch, out_shardings=divided(layout))
