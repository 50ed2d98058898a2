"""Eight CPU devices, no silent rank promotion: set before JAX is first used."""

import jax

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
