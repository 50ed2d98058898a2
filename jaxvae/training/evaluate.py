"""Values of every example of a data set, in its order, by batches of one shape."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.data import padded_batches
from jaxvae.data.batches import num_examples
from jaxvae.keys import example_keys
from jaxvae.progress import progress
from jaxvae.training.checks import check_dataset, check_evaluated
from jaxvae.training.parallel import AXIS, Layout, divided, local_layout, put
from jaxvae.types import Batch, Dataset, DataSpec, Metrics, ModelState, Params, PRNGKey, System

NUMBERS, NUMBERS_ON_CPU = 392_000, 78_400  # pixel values that are evaluated at a time
EVALUATION = 0x6576616C  # folded into key 0: the same noise for every model and run, and none of a training's keys


def make_evaluator(
    system: System, batch_size: int, layout: Layout | None = None, *, members: bool = False
) -> Callable[..., dict[str, np.ndarray]]:
    """Return a function that evaluates every example of a data set once.

    Args:
      system: gives `evaluate`.
      batch_size: examples at a time; the last batch is padded. It does not change the result: an example's noise
        depends on its index alone.
      layout: on whose devices; None takes one device of this process.
      members: whether parameters and model state have a leading axis [M], which is what the devices divide then.

    Returns:
      (params, model_state, dataset, hparams=None) -> {name: [N, ...]}, an entry an example; [M, N, ...] for members.
      Without hparams, arrays by name, those of the system hold. It raises a `UserError` for examples of another shape
      than the system's, and for an `evaluate` that gives no loss of every example.
    """
    layout = layout or local_layout()
    size = batch_size if members else -(-batch_size // layout.mesh.size) * layout.mesh.size
    spec = () if members else (AXIS,)
    compiled = _compiled(system.trainable.evaluate, size, layout, members)

    def evaluate(
        params: Params, model_state: ModelState, dataset: Dataset, hparams: Mapping[str, jax.Array] | None = None
    ) -> dict[str, np.ndarray]:
        check_dataset(dataset, system.spec, "evaluated")
        given = hparams or {name: np.float32(value) for name, value in system.trainable.hparams.items()}

        def values(start: int, batch: Batch) -> Metrics:
            return compiled(params, model_state, np.int32(start), put(layout, batch, *spec), given)

        return in_batches(values, dataset, size, axis=int(members))

    return evaluate


def in_batches(
    function: Callable[[int, Batch], Any], dataset: Dataset, batch_size: int, axis: int = 0, *, shown: str = ""
) -> Any:
    """Apply a function to a whole data set, a batch at a time.

    Args:
      function: (row of the first example, batch) -> a tree of arrays with an entry an example; the last batch is
        padded, and what is computed of the padding is left out.
      dataset: N examples.
      batch_size: examples at a time.
      axis: of the examples in the function's arrays.
      shown: what a progress bar of the batches says; none is shown without.

    Returns:
      The tree, as numpy arrays with N entries along that axis.
    """
    parts = []
    batches: Iterable[tuple[int, Batch]] = padded_batches(dataset, batch_size)
    if shown:
        batches = progress(batches, shown, -(-num_examples(dataset) // batch_size))
    running: list[tuple[Any, int]] = []  # results that are computed while the next batch is made ready
    for start, batch in batches:
        running.append((function(start, batch), int(np.sum(batch.mask))))
        if len(running) > 1:
            parts.append(_fetched(*running.pop(0), axis))
    parts += [_fetched(*one, axis) for one in running]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, axis), *parts)


def evaluation_batch_size(spec: DataSpec) -> int:
    """Return how many examples to evaluate at a time: results do not depend on it, memory and speed do.

    On a CPU 100 of MNIST's size, whose features stay in its caches: of 500 a convolution takes four times as long for
    each. Elsewhere 500, and as many grids of 7x7 codes of 512.
    """
    return examples_of(spec, NUMBERS_ON_CPU if jax.default_backend() == "cpu" else NUMBERS)


def examples_of(spec: DataSpec, numbers: int) -> int:
    """Return how many examples have so many numbers, at least one; each of many codes counts for as many logits."""
    per_number = 1 if len(spec.shape) == 3 else max(1, spec.num_values // 32)
    return max(1, numbers // (math.prod(spec.shape) * per_number))


def program_batch_size(num: int, most: int) -> int:
    """Return the batch size in which some examples go through a compiled program: a power of four, or the largest one.

    Any number of examples is then one of a few programs, and of few examples little is computed for nothing.

    Args:
      num: of examples.
      most: the largest batch size.
    """
    size = 1
    while size < min(num, most):
        size *= 4
    return min(size, most)


def evaluation_keys(start: int | jax.Array, num: int, key: PRNGKey | None = None) -> PRNGKey:
    """Return the keys [num] of evaluated examples start, start + 1, ... of a part.

    Args:
      start: row of the first example.
      num: of examples.
      key: whose noise; by default the same for every model and run.
    """
    key = jax.random.fold_in(jax.random.key(0), EVALUATION) if key is None else key
    return example_keys(key, start + jnp.arange(num))


# ---------- private


def _fetched(result: Any, num: int, axis: int) -> Any:
    """The first entries of the leaves of a result along an axis, in host memory."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[(slice(None),) * axis + (slice(num),)], result)


@functools.lru_cache(maxsize=4)
def _compiled(evaluate: Callable, size: int, layout: Layout, members: bool) -> Callable[..., Metrics]:
    """The program for a batch; members of a sweep that are evaluated one after another share it."""

    def one_batch(
        params: Params, model_state: ModelState, start: jax.Array, batch: Batch, hparams: Mapping[str, jax.Array]
    ) -> Metrics:
        def values(*arguments: Any) -> Metrics:
            found = evaluate(*arguments)
            check_evaluated(found, size)
            return found

        arguments = params, model_state, evaluation_keys(start, size), batch, hparams
        return jax.vmap(values, in_axes=(0, 0, None, None, 0))(*arguments) if members else values(*arguments)

    return jax.jit(one_batch, out_shardings=divided(layout))
