"""Compiled programs kept on disk: a second start of the same command skips most of its compilation."""

import os

import jax

from jaxvae.data.cache import cache_folder


def keep_compiled_programs() -> None:
    """Keep compiled programs in the user's cache folder, or in $JAX_COMPILATION_CACHE_DIR; commands call it first."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
