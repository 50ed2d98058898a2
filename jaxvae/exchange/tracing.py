"""Functions of one example as functions of any number of them, and what their results need."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import export
from jax.extend import core

from jaxvae.exchange.functions import Function, Port
from jaxvae.types import Array

BATCH = "batch"  # name of the number of examples
KEY = Port("key", "raw key of the draws, jax.random.key_data(jax.random.key(seed))", (2,), jnp.uint32)


class Batched(NamedTuple):
    """A function of any number of examples."""

    name: str
    about: str
    call: Callable[..., tuple[Array, ...]]  # (*inputs [B, ...], a key [2] if it draws) -> outputs [B, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    draws: bool  # whether the results depend on a key
    arguments: tuple[jax.ShapeDtypeStruct, ...]  # of `call`, with a symbol for the number of examples


def batched(function: Function) -> Batched:
    """Return a function of any number of examples; it takes a key if its results depend on one.

    An example has its own noise, by its number among those that are given.

    Args:
      function: of one example.
    """

    def call(*given: Array) -> tuple[Array, ...]:
        *inputs, key = given

        def one(number: Array, *example: Array) -> tuple[Array, ...]:
            return function.call(*example, jax.random.fold_in(jax.random.wrap_key_data(key), number))

        return jax.vmap(one)(jnp.arange(inputs[0].shape[0]), *inputs)

    (batch,) = export.symbolic_shape(BATCH)
    examples = tuple(jax.ShapeDtypeStruct((batch, *port.shape), port.dtype) for port in function.inputs)
    arguments = (*examples, jax.ShapeDtypeStruct(KEY.shape, KEY.dtype))
    closed = needed_alone(jax.make_jaxpr(call)(*arguments))
    outputs = tuple(
        port._replace(shape=aval.shape[1:], dtype=aval.dtype)
        for port, aval in zip(function.outputs, closed.out_avals, strict=True)
    )
    name, about, inputs = function.name, function.about, function.inputs
    if any(closed.jaxpr.invars[-1] in eqn.invars for eqn in closed.jaxpr.eqns):
        return Batched(name, about, call, inputs, outputs, True, arguments)
    without = lambda *given: call(*given, jnp.zeros(KEY.shape, KEY.dtype))  # noqa: E731
    return Batched(name, about, without, inputs, outputs, False, examples)


def needed_alone(closed: Any) -> Any:
    """Return a `ClosedJaxpr` without the operations that none of its outputs needs, as draws that are not returned."""
    needed, kept = set(_variables(closed.jaxpr.outvars)), []
    for eqn in reversed(closed.jaxpr.eqns):
        if needed.intersection(eqn.outvars):
            needed.update(_variables(eqn.invars))
            kept.append(eqn)
    return core.ClosedJaxpr(closed.jaxpr.replace(eqns=kept[::-1]), closed.consts)


# ---------- private


def _variables(atoms: Any) -> list[Any]:
    return [atom for atom in atoms if not isinstance(atom, core.Literal)]
