"""Traced functions as programs for the page."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from jaxvae.explorer import places
from jaxvae.explorer.builder import Builder, Program, View
from jaxvae.explorer.primitives import apply
from jaxvae.types import Params

LOOPS = ("scan", "while", "cond")  # of which short scans are unrolled
# Steps of a scan, or equations of all of its steps together; longer ones would make a page too slow to play with.
LONGEST_SCAN, MOST_EQUATIONS = 100, 4_000


def program_of(function: Callable[..., Any], params: Params, *inputs: Any) -> Program:
    """Return what a function computes as a program.

    Args:
      function: (params, *inputs) -> a tree of arrays.
      params: a tree of arrays, which become weights of the program.
      inputs: trees of `jax.ShapeDtypeStruct`, what the program is given: the leaves in their order.

    Returns:
      The program; its outputs are the leaves of the function's result.

    Raises:
      UserError: if the function has an operation that the page has not.
    """
    closed = jax.make_jaxpr(function)(params, *inputs)
    builder = Builder()
    weights = [builder.weight(leaf, _kind(leaf.dtype)) for leaf in jax.tree.leaves(params)]
    given = [builder.given(leaf.shape, _kind(leaf.dtype)) for leaf in jax.tree.leaves(inputs)]
    return builder.program(given, _run(builder, closed, [*weights, *given]))


# ---------- private


def _run(builder: Builder, closed: Any, arguments: list[View]) -> list[View]:
    """Add the equations of a jaxpr to a program."""
    jaxpr = closed.jaxpr if isinstance(closed, ClosedJaxpr) else closed
    consts = closed.consts if isinstance(closed, ClosedJaxpr) else ()
    known = dict(zip(jaxpr.invars, arguments, strict=True))
    for var, const in zip(jaxpr.constvars, consts, strict=True):
        known[var] = builder.weight(const, _kind(np.asarray(const).dtype))

    def view(atom: Any) -> View:
        if not isinstance(atom, Literal):
            return known[atom]
        array = np.asarray(atom.val)
        kind = _kind(array.dtype)
        return builder.weight(array, kind) if array.ndim else builder.scalar(float(array), kind)

    for eqn in jaxpr.eqns:
        name, operands = eqn.primitive.name, [view(atom) for atom in eqn.invars]
        first: Any = eqn.outvars[0].aval
        inner = next(_inner(eqn.params), None) if name not in LOOPS else None
        if name == "scan" and _is_short(**eqn.params):
            results = _unrolled(builder, operands, **eqn.params)
        elif inner is not None:
            results = _run(builder, inner, operands)
        else:
            results = apply(builder, name, eqn.params, operands, first.shape, _kind(first.dtype))
        known.update(zip(eqn.outvars, results, strict=True))
    return [view(atom) for atom in jaxpr.outvars]


def _is_short(*, jaxpr: ClosedJaxpr, length: int, **_: Any) -> bool:
    return length <= LONGEST_SCAN or length * len(jaxpr.eqns) <= MOST_EQUATIONS


def _unrolled(
    builder: Builder,
    operands: list[View],
    *,
    jaxpr: ClosedJaxpr,
    length: int,
    reverse: bool,
    num_consts: int,
    num_carry: int,
    **_: Any,
) -> list[View]:
    """Add the equations of a scan once for every step, as of the flows of a prior."""
    consts, carry = operands[:num_consts], operands[num_consts : num_consts + num_carry]
    stacked = operands[num_consts + num_carry :]
    collected: dict[int, list[View]] = {}
    for i in reversed(range(length)) if reverse else range(length):
        rows = [view._replace(layout=view.layout[i, ...]) for view in stacked]
        results = _run(builder, jaxpr, [*consts, *carry, *rows])
        carry, collected[i] = results[:num_carry], results[num_carry:]
    found = list(carry)
    for column in zip(*(collected[i] for i in range(length)), strict=True):
        shape = (length, *column[0].shape)
        found.append(places.stack(builder, *column, axis=0, shape=shape, kind=column[0].kind))
    return found


def _inner(params: dict[str, Any]) -> Iterator[Any]:
    """Jaxprs among the parameters of an equation, such as that of a jitted function."""
    return (value for value in params.values() if isinstance(value, ClosedJaxpr | Jaxpr))


def _kind(dtype: Any) -> str:
    if dtype == jnp.bool_:
        return "b"
    return "i" if jnp.issubdtype(dtype, jnp.integer) else "f"
