"""What each group of latents of a hierarchy decides: one of them drawn anew, the others kept."""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.applications.codes_given import given_vectors
from jaxvae.applications.encoding import code_shapes, decode
from jaxvae.applications.generation import whole_number
from jaxvae.capabilities import HasGroups, require
from jaxvae.errors import UserError
from jaxvae.keys import example_keys
from jaxvae.types import Array, ModelState, Params, PRNGKey, System


def draw_latents(system: System, params: Params, model_state: ModelState, key: PRNGKey, num: int) -> np.ndarray:
    """Return latents of the prior, all groups side by side, [num, D]; fewer are the first ones of more.

    Args:
      system: one with groups of latents.
      params: its parameters.
      model_state: its state.
      key: of the draws.
      num: of them.

    Raises:
      UserError: if the system has no groups.
    """
    draw = require(system, HasGroups).draw_prior
    return np.asarray(_drawn(draw, params, model_state, key, whole_number("num", num)))


def resample(
    system: System, params: Params, model_state: ModelState, key: PRNGKey, code: Any, group: int, num: int = 8
) -> np.ndarray:
    """Decode a code in which one group of latents is drawn anew of the prior, and the others are kept.

    What is kept of groups below is where they are in their own prior, which the group that is drawn moves: every image
    is a sample of the model if the code is one of the prior.

    Args:
      system: one with groups of latents.
      params: its parameters.
      model_state: its state.
      key: of the draws.
      code: [D], as `encode` gives it or `draw_latents`.
      group: which, from 0, the top group.
      num: of images.

    Returns:
      [num, H, W, C] in [0, 1].

    Raises:
      UserError: if the system has no groups, or not this one, or the code is of another shape.
    """
    ends = list(itertools.accumulate(map(math.prod, require(system, HasGroups).shapes)))
    if whole_number("group", group, least=0) >= len(ends):
        raise UserError(f"group is {group}, those of {system.name} are from 0 to {len(ends) - 1}.")
    shapes = code_shapes(system, params, model_state)
    kept = given_vectors(np.asarray(code)[None], system.name, shapes)
    codes = np.repeat(kept, whole_number("num", num), axis=0)
    part = slice(ends[group - 1] if group else 0, ends[group])
    codes[:, part] = draw_latents(system, params, model_state, key, num)[:, part]
    return decode(system, params, model_state, codes, key, same_noise=True)


# ---------- private


@functools.partial(jax.jit, static_argnums=(0, 4))
def _drawn(draw: Callable[..., Array], params: Params, model_state: ModelState, key: PRNGKey, num: int) -> Array:
    return draw(params, model_state, example_keys(key, jnp.arange(num)))
