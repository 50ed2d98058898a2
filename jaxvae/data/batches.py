"""Which examples make a batch: pure functions of a seed and a step, so that a resumed run needs no iterator's state."""

import functools
from collections.abc import Iterator

import jax
import numpy as np

from jaxvae.errors import UserError
from jaxvae.types import Batch, Dataset


def batch_indices(seed: int, num_examples: int, batch_size: int, step: int, num_steps: int) -> np.ndarray:
    """Choose the rows of training batches.

    Fresh permutations of all rows, one an epoch, are laid end to end without a bound; step t takes the positions
    [t * B, (t + 1) * B). So every row is used equally often, B need not divide N, and may exceed it. The permutation of
    an epoch depends on (seed, epoch, N) alone.

    Args:
      seed: of the permutations, at least 0.
      num_examples: N, rows to choose from.
      batch_size: B, rows a step.
      step: the first step, from 0.
      num_steps: steps to choose for.

    Returns:
      Rows, [num_steps, B] int32.

    Raises:
      ValueError: if there are no rows, the batch is empty, or seed, step or num_steps is negative.
    """
    if num_examples < 1 or batch_size < 1 or min(seed, step, num_steps) < 0:
        raise ValueError(
            f"Got {num_examples=}, {batch_size=}, {seed=}, {step=}, {num_steps=}; expected at least one example and a "
            "batch size of at least 1, the others at least 0."
        )
    start, stop = step * batch_size, (step + num_steps) * batch_size
    first, last = start // num_examples, -(-stop // num_examples)
    rows = [_permutation(seed, epoch, num_examples) for epoch in range(first, last)]
    line = np.concatenate([np.zeros(0, np.int32), *rows])
    return line[start - first * num_examples :][: stop - start].reshape(num_steps, batch_size)


def padded_batches(dataset: Dataset, batch_size: int) -> Iterator[tuple[int, Batch]]:
    """Go through a data set once, in order, in batches of one shape.

    Args:
      dataset: N examples; `x` may be any pytree of arrays [N, ...].
      batch_size: B.

    Yields:
      The row of the batch's first example, and the batch as numpy arrays. The last batch is filled up with row 0, with
      mask 0 there.

    Raises:
      ValueError: if the batch size is less than 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1.")
    num = num_examples(dataset)
    for start in range(0, num, batch_size):
        rows = np.arange(start, start + batch_size)
        mask = (rows < num).astype(np.float32)
        rows = np.where(rows < num, rows, 0)
        data = jax.tree.map(lambda array, rows=rows: np.asarray(array[rows]), dataset)
        yield start, Batch(data.x, data.labels, mask)  # type: ignore[arg-type]  # numpy until it enters a step


def subset(dataset: Dataset, num: int, seed: int) -> Dataset:
    """Draw some examples without replacement: of one seed, a smaller subset is the beginning of a larger one.

    Args:
      dataset: N examples.
      num: how many, 1 to N.
      seed: of the draw.

    Returns:
      `num` examples in random order.

    Raises:
      UserError: if there are fewer than `num`, or `num` is less than 1.
    """
    rows = subset_rows(num_examples(dataset), num, seed)
    drawn = jax.tree.map(lambda array: np.asarray(array[rows]), dataset)
    return Dataset(drawn.x, drawn.labels, None if dataset.names is None else np.asarray(dataset.names)[rows])


def subset_rows(num_examples: int, num: int, seed: int) -> np.ndarray:
    """Return the rows [num] int32 that `subset` draws of a data set, with its errors."""
    if not 1 <= num <= num_examples:
        raise UserError(f"{num} examples are asked for, expected 1 to {num_examples}, the number there are.")
    return _permutation(seed, 0, num_examples)[:num]


def num_examples(dataset: Dataset) -> int:
    """Return how many examples there are, N, of whatever pytree they are."""
    return len(jax.tree.leaves(dataset.x)[0])


# ---------- private


@functools.lru_cache(maxsize=4)  # a loop that asks step by step stays within one or two epochs
def _permutation(seed: int, epoch: int, num: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(num).astype(np.int32)
