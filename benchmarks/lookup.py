"""The suite `lookup`: the nearest of many codes, beside the matrix product that it cannot do without."""

import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.options import Options
from benchmarks.records import Record, compared, record, share
from benchmarks.timing import alternate, gemm_ceiling, spread, timed
from jaxvae.quantizers import nearest
from jaxvae.types import Array

DIM = 64
ROWS = 500


def lookup(options: Options) -> Iterator[Record]:
    """Measure the search for the nearest code of many vectors, by turns with the matrix product, and its memory."""
    generator = np.random.default_rng(0)
    z, table = (
        jnp.asarray(generator.standard_normal((num, DIM), np.float32))
        for num in (options.num_vectors, options.num_codes)
    )
    search = jax.jit(nearest).lower(table, z).compile()
    product = jax.jit(_product)
    measures = {"nearest": timed(lambda: search(table, z)), "product": timed(lambda: product(table, z))}
    seconds = alternate(measures, options.repetitions, options.seconds)
    rate = spread(len(z) / seconds["nearest"])
    yield record(
        "lookup",
        f"nearest of {len(table)} codes of {DIM} channels",
        vectors_per_second=rate,
        seconds=float(np.median(seconds["nearest"])),
        **compared("the matrix product alone", seconds["product"] / seconds["nearest"]),
        **share(rate.median, 2 * DIM * len(table), gemm_ceiling(quick=options.quick)),
        megabytes=search.memory_analysis().temp_size_in_bytes / 1e6,
        num_vectors=len(z),
        repetitions=len(seconds["nearest"]),
        quick=options.quick,
    )


def _product(table: Array, z: Array) -> Array:
    """The products of all vectors and codes, no more than some rows of them in memory at a time."""

    def of_rows(rows: Array) -> Array:
        return lax.optimization_barrier(rows @ table.T)[:, 0]

    return lax.map(of_rows, z.reshape(-1, math.gcd(len(z), ROWS), DIM))
