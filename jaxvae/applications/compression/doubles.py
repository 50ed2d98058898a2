"""Functions of a model in 64 bits, whose results are rounded: any program rounds them to the same numbers.

Floats of 32 bits differ between programs by about a millionth, and some of many are rounded differently. Those of 64
bits differ by so little that none is. Layers with a type of their own, as bfloat16, keep it.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.types import ModelState, Params


def in_double(function: Callable[..., Any], params: Params, model_state: ModelState, *given: Any) -> Any:
    """Return what a function gives in 64 bits, as numpy arrays.

    Args:
      function: (params, model_state, *given) -> arrays.
      params: of the model, which are floats of 64 bits to the function.
      model_state: its state, the same.
      *given: arrays of any types.
    """
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, _in_double(function, params, model_state, *given))


# ---------- private


@functools.partial(jax.jit, static_argnums=0)
def _in_double(function: Callable[..., Any], params: Params, model_state: ModelState, *given: Any) -> Any:
    return function(_double(params), _double(model_state), *given)


def _double(tree: Any) -> Any:
    def one(leaf: Any) -> Any:
        is_float = jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        return jnp.asarray(leaf, jnp.float64) if is_float else leaf

    return jax.tree.map(one, tree)
