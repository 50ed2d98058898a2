"""How time is taken: after a warm-up, with results waited for, and what is compared in turns."""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.typing import Dtype

Measure = Callable[[], float]  # does something once and returns the seconds that it took

LEAST = 3  # repetitions that there are even where time is out


class Spread(NamedTuple):
    """The middle half of some measurements."""

    median: float
    quartiles: tuple[float, float]


def spread(values: np.ndarray) -> Spread:
    """Return median and quartiles."""
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return Spread(float(median), (float(low), float(high)))


def timed(run: Callable[[], Any]) -> Measure:
    """Return the measure of a function, whose arrays are waited for."""

    def measure() -> float:
        began = time.perf_counter()
        jax.block_until_ready(run())
        return time.perf_counter() - began

    return measure


def alternate(
    measures: Mapping[str, Measure], repetitions: int, seconds: float = float("inf"), warm_up: bool = True
) -> dict[str, np.ndarray]:
    """Measure several things in turns, so that a machine whose speed drifts is as fast for one as for the other.

    Args:
      measures: by name. Every other turn goes through them backwards.
      repetitions: R, turns.
      seconds: after which no further turn begins, if there were three.
      warm_up: whether each runs once before, unmeasured.

    Returns:
      Seconds of each, [R] or fewer: entry r of all of them is of turn r.
    """
    if warm_up:
        for measure in measures.values():
            measure()
    taken: dict[str, list[float]] = {name: [] for name in measures}
    began = time.perf_counter()
    for turn in range(repetitions):
        if turn >= LEAST and time.perf_counter() - began > seconds:
            break
        for name in list(measures)[:: -1 if turn % 2 else 1]:
            taken[name].append(measures[name]())
    return {name: np.array(values) for name, values in taken.items()}


def gemm_ceiling(dtype: Dtype = jnp.float32, quick: bool = False, precision: str | None = None) -> float:
    """Return the best rate of square matrix products of random numbers on the first device, in FLOP/s.

    Args:
      dtype: of the matrices.
      quick: one small product only.
      precision: of `jnp.dot`; None is JAX's default, under which GPUs multiply float32 in TF32.

    Returns:
      The rate, of the best of several sizes.
    """
    cpu = jax.default_backend() == "cpu"
    sizes = (256,) if quick else (512, 1024, 2048) if cpu else (2048, 4096, 8192)
    length = 1 if cpu else 10  # products in a row, so that the start of one hides behind the one before
    product = jax.jit(lambda a, b: jnp.dot(a, b, precision=precision))
    best = 0.0
    for size in sizes:
        a = jax.random.normal(jax.random.key(0), (size, size)).astype(dtype)
        b = (jax.random.normal(jax.random.key(1), (size, size)) / size**0.5).astype(dtype)  # keeps the scale of a
        seconds = alternate({"": timed(lambda a=a, b=b: functools.reduce(product, [b] * length, a))}, 10)[""]
        best = max(best, 2 * size**3 * length / float(np.min(seconds)))
    return best
