"""The suite `lookup`: the nearest of many codes, beside the matrix product that it cannot do without."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.options import Options
from benchmarks.records import Record, record, share
from benchmarks.timing import alternate, gemm_ceiling, spread, timed
from jaxvae.quantizers import nearest

DIM = 64


def lookup(options: Options) -> Iterator[Record]:
    """Measure the search for the nearest code of many vectors, and the memory that it takes beside its arguments."""
    generator = np.random.default_rng(0)
    z, table = (
        jnp.asarray(generator.standard_normal((num, DIM), np.float32))
        for num in (options.num_vectors, options.num_codes)
    )
    search = jax.jit(nearest).lower(table, z).compile()
    seconds = alternate({"nearest": timed(lambda: search(table, z))}, options.repetitions, options.seconds)["nearest"]
    rate = spread(len(z) / seconds)
    yield record(
        "lookup",
        f"nearest of {len(table)} codes of {DIM} channels",
        vectors_per_second=rate,
        seconds=float(np.median(seconds)),
        **share(rate.median, 2 * DIM * len(table), gemm_ceiling(quick=options.quick)),
        megabytes=search.memory_analysis().temp_size_in_bytes / 1e6,
        num_vectors=len(z),
        repetitions=len(seconds),
        quick=options.quick,
    )
