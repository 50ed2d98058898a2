"""JAX's primitives as operations of the page."""

import functools
from collections.abc import Callable
from typing import Any

from jaxvae.errors import UserError
from jaxvae.explorer import arithmetic, places, products
from jaxvae.explorer.builder import Builder, View

# (builder, *arguments, **parameters of the primitive, shape and kind of its first result) -> its results
Rule = Callable[..., Any]

NUMBERS = (
    *("add", "sub", "mul", "div", "rem", "max", "min", "pow", "atan2", "neg", "exp", "exp2", "log", "log1p", "expm1"),
    *("tanh", "logistic", "sqrt", "rsqrt", "cbrt", "abs", "sign", "floor", "ceil", "sin", "cos", "erf"),
    *("is_finite", "eq", "ne", "lt", "le", "gt", "ge"),
)
TRUTHS = {"and": "min", "or": "max", "xor": "ne", "not": "not"}  # truth values are 0 and 1
REDUCTIONS = {
    **{f"reduce_{op}": op for op in ("sum", "max", "min", "prod")},
    **{"reduce_and": "min", "reduce_or": "max"},
}
RULES: dict[str, Rule] = {
    "broadcast_in_dim": places.broadcast,
    "clamp": arithmetic.clamp,
    "concatenate": places.concatenate,
    "conv_general_dilated": products.convolution,
    "convert_element_type": arithmetic.convert,
    "dot_general": products.dot_general,
    "gather": products.gather,
    "integer_pow": arithmetic.integer_pow,
    "iota": arithmetic.iota,
    "pad": places.pad,
    "reshape": places.reshape,
    "rev": places.reverse,
    "round": arithmetic.rounded,
    "select_n": functools.partial(arithmetic.elementwise, op="select"),
    "slice": places.cut,
    "split": places.split,
    "square": arithmetic.square,
    "squeeze": places.reshape,
    "stack": places.stack,
    "transpose": places.transpose,
    **{name: functools.partial(arithmetic.elementwise, op=name) for name in NUMBERS},
    **{name: functools.partial(arithmetic.elementwise, op=op) for name, op in TRUTHS.items()},
    **{name: functools.partial(arithmetic.reduced, op=op) for name, op in REDUCTIONS.items()},
    **{
        name: lambda builder, *arguments, **_: list(arguments)
        for name in ("stop_gradient", "copy", "copy_p", "reduce_precision", "optimization_barrier")
    },
}


def apply(
    builder: Builder, name: str, params: dict[str, Any], arguments: list[View], shape: tuple[int, ...], kind: str
) -> list[View]:
    """Add a primitive to a program.

    Args:
      builder: of the program.
      name: of the primitive.
      params: its parameters.
      arguments: views of its operands.
      shape: of its first result.
      kind: of the numbers of its first result.

    Returns:
      Views of its results.

    Raises:
      UserError: if the page has no such operation.
    """
    on_bits = name in TRUTHS and kind != "b"
    if name not in RULES or on_bits or (name == "select_n" and len(arguments) != 3):
        raise UserError(
            f"The model has the operation {name}, which the page of `explore` does not have: expected dense layers, "
            "convolutions and functions of single numbers, without long loops."
        )
    made = RULES[name](builder, *arguments, **(params | {"shape": shape, "kind": kind}))
    return made if isinstance(made, list) else [made]
