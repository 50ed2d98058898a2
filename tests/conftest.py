"""Eight CPU devices, no silent rank promotion, one store of compiled programs: set before JAX is first used."""

import gc
import os
import signal
import tempfile
from importlib.metadata import version
from pathlib import Path

# A shell ignores interrupts for what it starts in the background, and tests interrupt themselves and others.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Inherited by the workers of a parallel run and by the processes that tests start: they compile the same programs.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _programs = tempfile.TemporaryDirectory(prefix="jaxvae-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _programs.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

# Where XLA has two emitters of fusions, the older one compiles in a third of the time, for programs that run once.
if version("jaxlib").startswith("0.10."):
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_use_fusion_emitters=false"

import jax
import pytest

# Traces are many small objects that stay: looking through them for garbage so often took a seventh of the time.
gc.set_threshold(200_000, 20, 100)
jax.config.update("jax_num_cpu_devices", 8)
# Compiling is most of the time of the tests: they check results, which the passes left out here do not change.
jax.config.update("jax_disable_most_optimizations", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


MOST_MAPS = 40_000  # of memory: Linux ends a process that has 65,530, and a compiled program has some


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Forget compiled programs where there are very many: they are compiled anew, from their store."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        gc.collect()
