"""Remember the constructor call behind objects made of closures (likelihoods, priors): `config.json` describes it."""

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np

from jaxvae.types import Recipe

Made = TypeVar("Made", bound=Callable[..., Any])


def recorded(constructor: Made) -> Made:
    """Make a constructor of NamedTuples store itself and its arguments in their field `recipe`.

    Args:
      constructor: a function at the top level of a module, whose arguments can be described in turn.

    Returns:
      The constructor.
    """
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def make(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        return constructor(*args, **kwargs)._replace(recipe=Recipe(make, tuple(bound.arguments.items())))

    make.is_recorded = True  # type: ignore[attr-defined]  # a file may name constructors, but no other function to call
    return make  # type: ignore[return-value]


def is_as_made(record: Any) -> bool:
    """Return whether a record of functions is unchanged since its construction: `_replace` does not update its recipe.

    Args:
      record: a NamedTuple with a field `recipe` that is filled in.

    Returns:
      Whether its fields have the same code, and the same values around it, as those of a new one.
    """
    made = record.recipe.constructor(**dict(record.recipe.arguments))
    return type(made) is type(record) and _same(record._replace(recipe=None), made._replace(recipe=None), set())


# ---------- private


def _same(a: Any, b: Any, seen: set[tuple[int, int]]) -> bool:
    """Whether two functions, or what they close over, are the same but for their identity."""
    if a is b or (id(a), id(b)) in seen:
        return True
    seen = seen | {(id(a), id(b))}
    match a, b:
        case (types.FunctionType(), types.FunctionType()):
            return a.__code__ is b.__code__ and _same(_around(a), _around(b), seen)
        case (types.MethodType(), types.MethodType()):
            return _same((a.__func__, a.__self__), (b.__func__, b.__self__), seen)
        case (functools.partial(), functools.partial()):
            return _same((a.func, a.args, a.keywords), (b.func, b.args, b.keywords), seen)
        case (tuple() | list(), tuple() | list()):
            return len(a) == len(b) and all(_same(*pair, seen) for pair in zip(a, b, strict=True))
        case (dict(), dict()):
            return a.keys() == b.keys() and all(_same(a[key], b[key], seen) for key in a)
        case (np.ndarray() | jax.Array(), np.ndarray() | jax.Array()):
            return a.dtype == b.dtype and np.array_equal(a, b)
    if hasattr(a, "__wrapped__") and hasattr(b, "__wrapped__"):  # jitted
        return _same(a.__wrapped__, b.__wrapped__, seen)
    return type(a) is type(b) and bool(a == b)


def _around(function: types.FunctionType) -> tuple[Any, ...]:
    cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
    return function.__defaults__, function.__kwdefaults__, cells
