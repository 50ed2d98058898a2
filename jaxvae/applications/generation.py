"""New images of a trained system."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxvae.capabilities import Generates, require
from jaxvae.types import Array, ModelState, Params, PRNGKey, Samples, System


def sample(system: System, params: Params, model_state: ModelState, key: PRNGKey, num: int) -> Samples:
    """Draw new images.

    Args:
      system: one that generates.
      params: its parameters.
      model_state: its state.
      key: of the draws.
      num: of images.

    Returns:
      Images [num, H, W, C] in [0, 1] as numpy arrays, and their means where the pixels are independent; points of a
      flow in the plane, [num, 2], as they are.

    Raises:
      UserError: if the system cannot draw images.
    """
    drawn = jax.tree.map(np.asarray, _sample(require(system, Generates).sample, key, params, model_state, num))
    if len(system.spec.shape) < 3:
        return drawn
    return jax.tree.map(lambda x: np.clip(x, 0, 1), drawn)


# ---------- private


@functools.partial(jax.jit, static_argnums=(0, 4))
def _sample(draw: Callable[..., Any], key: Array, params: Params, model_state: ModelState, num: int) -> Samples:
    return draw(key, params, model_state, num)
