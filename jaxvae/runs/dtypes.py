"""Types of numbers, numbers that have one, and shapes as JSON, and back: see `jaxvae.runs.description`."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_KINDS = ((jnp.bool_, bool), (jnp.integer, int), (jnp.floating, float))


def described_array(value: Any) -> dict[str, Any]:
    """Return the type, the type and the shape, or the type and the number of something that has them.

    Args:
      value: a type of NumPy or `jax.numpy.dtype`, a `jax.ShapeDtypeStruct`, a scalar of either library.

    Returns:
      "dtype", and "shape" or "scalar", which is a number of Python.

    Raises:
      ValueError: if it is an array, is traced, or has no real numbers; it says which.
    """
    dtype = value if isinstance(value, np.dtype) else value.dtype
    if _kind(dtype) is None:
        raise ValueError(f"of type {dtype}, expected real numbers")
    if isinstance(value, np.dtype):
        return {"dtype": dtype.name}
    if isinstance(value, jax.ShapeDtypeStruct):
        if value != jax.ShapeDtypeStruct(value.shape, dtype):
            raise ValueError(f"{value}, expected a shape and a type alone")
        return {"shape": list(value.shape), "dtype": dtype.name}
    if value.shape:
        raise ValueError(f"an array of shape {list(value.shape)}, expected a number: make arrays where they are used")
    if isinstance(value, jax.core.Tracer):
        raise ValueError("a traced number, expected one outside of jit")
    return {"scalar": _kind(dtype)(value), "dtype": dtype.name}


def rebuilt_array(described: Mapping[str, Any]) -> Any:
    """Return what was described; a scalar is one of NumPy.

    Args:
      described: what `described_array` gave, with a tuple for the shape.

    Raises:
      TypeError: if it is something else.
      ValueError: the same.
    """
    dtype = jnp.dtype(described["dtype"])
    if not isinstance(described["dtype"], str) or _kind(dtype) is None:
        raise TypeError(f"{described['dtype']} is no type of numbers")
    match described:
        case {"shape": tuple(shape)} if all(type(length) is int for length in shape):
            return jax.ShapeDtypeStruct(shape, dtype)
        case {"scalar": int() | float() as number}:
            return dtype.type(number)
        case {"dtype": _} if len(described) == 1:
            return dtype
    raise TypeError("no shape and no number")


def _kind(dtype: Any) -> Any:
    return next((convert for of, convert in _KINDS if jnp.issubdtype(dtype, of)), None)
