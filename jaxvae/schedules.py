"""Weights of the KL term as functions of the training step.

All arguments may be arrays, so that a sweep can vary them inside one program.
"""

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvae.types import Array


def linear_warmup(step: ArrayLike, num_steps: ArrayLike) -> Array:
    """Rise from 0 at step 0 to 1 at `num_steps`, then stay (Bowman et al. 2016; Sonderby et al. 2016).

    Args:
      step: steps done.
      num_steps: length of the rise; 0 is no warm-up.

    Returns:
      [] in [0, 1].
    """
    step, num_steps = jnp.asarray(step, jnp.float32), jnp.asarray(num_steps, jnp.float32)
    return jnp.where(num_steps > 0, jnp.clip(step / jnp.maximum(num_steps, 1.0), 0.0, 1.0), 1.0)


def cyclical_warmup(step: ArrayLike, num_steps: ArrayLike, num_cycles: ArrayLike, rise: ArrayLike = 0.5) -> Array:
    """Repeat the linear warm-up (Fu et al. 2019, eq. 6): rise during the first part of every cycle, then stay at 1.

    Args:
      step: steps done.
      num_steps: length of all cycles together; afterwards the weight stays 1. 0 is no warm-up.
      num_cycles: how many cycles, M in the paper.
      rise: the part of a cycle in which the weight rises, R in the paper; 0 stays at 1.

    Returns:
      [] in [0, 1]. The period is num_steps / num_cycles, where the paper rounds it up to whole steps.

    References:
      Fu et al., "Cyclical Annealing Schedule: A Simple Approach to Mitigating KL Vanishing", 2019, arXiv:1903.10145.
    """
    step, num_steps = jnp.asarray(step, jnp.float32), jnp.asarray(num_steps, jnp.float32)
    cycles = step * num_cycles / jnp.maximum(num_steps, 1.0)  # not a remainder, which misses the exact ends of cycles
    position = cycles - jnp.floor(cycles)
    # The tiniest divisor instead of 0: 0 / 0 at the starts of cycles would be no number.
    part = jnp.clip(position / jnp.maximum(rise, jnp.finfo(jnp.float32).tiny), 0.0, 1.0)
    return jnp.where((step < num_steps) & (jnp.asarray(rise) > 0), part, 1.0)
