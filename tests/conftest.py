"""Eight CPU devices, no silent rank promotion: set before JAX is first used."""

import jax

jax.config.update("jax_num_cpu_devices", 8)
# Compiling is most of the time of the tests: they check results, which the passes left out here do not change.
jax.config.update("jax_disable_most_optimizations", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
