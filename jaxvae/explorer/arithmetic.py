"""Operations on numbers one by one, and sums over them.

Each is called as (builder, *arguments, **parameters of the primitive, shape and kind of the result) -> its view.
"""

from typing import Any

import numpy as np

from jaxvae.explorer.builder import Builder, View


def elementwise(builder: Builder, *arguments: View, op: str, shape: Any, kind: str, **_: Any) -> View:
    """Apply a function to every number; the single number of an argument counts for all."""
    wide = [x if x.layout.size == 1 else x._replace(layout=np.broadcast_to(x.layout, shape)) for x in arguments]
    if op == "div" and kind == "i":
        return builder.step("trunc", [builder.step("div", wide, shape)], shape, kind)
    return builder.step(op, wide, shape, kind)


def convert(builder: Builder, x: View, *, kind: str, **_: Any) -> View:
    """Change the kind of the numbers; floats of fewer bits stay float32."""
    if kind == x.kind or x.kind == "b" or (x.kind, kind) == ("i", "f"):
        return x._replace(kind=kind)
    if kind == "b":
        return builder.step("ne", [x, builder.scalar(0.0)], x.shape, kind)
    return builder.step("trunc", [x], x.shape, kind)


def integer_pow(builder: Builder, x: View, *, y: int, kind: str, **_: Any) -> View:
    """Raise to a fixed power."""
    return builder.step("pow", [x, builder.scalar(y)], x.shape, kind)


def square(builder: Builder, x: View, *, kind: str, **_: Any) -> View:
    """Multiply with itself."""
    return builder.step("mul", [x, x], x.shape, kind)


def rounded(builder: Builder, x: View, *, rounding_method: Any, kind: str, **_: Any) -> View:
    """Round to whole numbers, halves to even ones or away from zero."""
    return builder.step("round_even" if int(rounding_method) else "round_away", [x], x.shape, kind)


def clamp(builder: Builder, low: View, x: View, high: View, *, kind: str, **_: Any) -> View:
    """Limit to a range."""
    return builder.step("min", [builder.step("max", [x, low], x.shape, kind), high], x.shape, kind)


def reduced(builder: Builder, x: View, *, op: str, axes: Any, shape: Any, kind: str, **_: Any) -> View:
    """Sum over some axes, or take the product or an extreme."""
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    last = x._replace(layout=x.layout.transpose([*kept, *axes]))
    return builder.step("reduce", [last], shape, kind, by=op)


def iota(builder: Builder, *, dimension: int, shape: Any, kind: str, **_: Any) -> View:
    """Count along one axis."""
    numbers = np.arange(shape[dimension], dtype=np.float32)
    return builder.weight(np.broadcast_to(numbers.reshape([-1] + [1] * (len(shape) - dimension - 1)), shape), kind)
