"""Products of arrays and look-ups: matrix products, convolutions, gathers.

Each is called as (builder, *arguments, **parameters of the primitive, shape and kind of the result) -> its view.
"""

import math
from typing import Any

import numpy as np
from jax.lax import GatherScatterMode

from jaxvae.errors import UserError
from jaxvae.explorer.builder import Builder, View


def dot_general(builder: Builder, a: View, b: View, *, dimension_numbers: Any, shape: Any, kind: str, **_: Any) -> View:
    """Multiply matrices, [batch, m, k] and [batch, k, n]; axes are brought into this order first."""
    (contracted_a, contracted_b), (batch_a, batch_b) = dimension_numbers
    left = _ordered(a, batch_a, contracted_a, contracted_last=True)
    right = _ordered(b, batch_b, contracted_b, contracted_last=False)
    k = math.prod(a.shape[axis] for axis in contracted_a)
    batch = math.prod(a.shape[axis] for axis in batch_a)
    sizes = {"batch": batch, "m": a.layout.size // (batch * k), "k": k, "n": b.layout.size // (batch * k)}
    return builder.step("matmul", [left, right], shape, kind, **sizes)


def convolution(
    builder: Builder,
    x: View,
    kernel: View,
    *,
    window_strides: Any,
    padding: Any,
    lhs_dilation: Any,
    rhs_dilation: Any,
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
    shape: Any,
    kind: str,
    **_: Any,
) -> View:
    """Convolve images, as NHWC with kernels HWIO whatever the order of the axes is."""
    if len(x.shape) != 4 or batch_group_count != 1:
        raise UserError("The page has convolutions of two dimensions alone, and none over groups of the batch.")
    spec_x, spec_kernel, spec_out = dimension_numbers  # of each: batch or output, features, height, width
    order = (0, 2, 3, 1)
    images = x._replace(layout=x.layout.transpose([spec_x[axis] for axis in order]))
    kernels = kernel._replace(layout=kernel.layout.transpose([spec_kernel[axis] for axis in (2, 3, 1, 0)]))
    nhwc = [shape[spec_out[axis]] for axis in order]
    out = builder.step(
        "conv",
        [images, kernels],
        nhwc,
        kind,
        images=list(images.shape),
        kernel=list(kernels.shape),
        result=nhwc,
        strides=list(window_strides),
        low=[low for low, _high in padding],
        dilation=list(lhs_dilation),
        spread=list(rhs_dilation),
        groups=feature_group_count,
    )
    back = np.argsort([spec_out[axis] for axis in order])
    return out._replace(layout=out.layout.transpose(back))


def gather(
    builder: Builder,
    x: View,
    indices: View,
    *,
    dimension_numbers: Any,
    slice_sizes: Any,
    mode: Any,
    shape: Any,
    kind: str,
    **_: Any,
) -> View:
    """Look up windows of an array at indices that are computed."""
    numbers, strides = dimension_numbers, _strides(x.shape)
    batch = indices.shape[:-1]
    where = {axis: i for i, axis in enumerate(numbers.start_indices_batching_dims)}
    steps = [strides[numbers.operand_batching_dims[where[axis]]] if axis in where else 0 for axis in range(len(batch))]
    window = [
        (length, stride)
        for axis, (length, stride) in enumerate(zip(slice_sizes, strides, strict=True))
        if axis not in (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    ]
    looked_up = builder.step(
        "gather",
        [x, indices],
        [*batch, *(length for length, _ in window)],
        kind,
        batch=list(batch),
        steps=steps,
        window=[length for length, _ in window],
        strides=[stride for _, stride in window],
        along=[strides[axis] for axis in numbers.start_index_map],
        last=[x.shape[axis] - slice_sizes[axis] for axis in numbers.start_index_map],
        fill=mode == GatherScatterMode.FILL_OR_DROP,
    )
    offsets = list(numbers.offset_dims)
    others = [axis for axis in range(len(shape)) if axis not in offsets]
    return looked_up._replace(layout=looked_up.layout.transpose(np.argsort([*others, *offsets])))


# ---------- private


def _ordered(x: View, batch: Any, contracted: Any, *, contracted_last: bool) -> View:
    free = [axis for axis in range(len(x.shape)) if axis not in (*batch, *contracted)]
    order = [*batch, *free, *contracted] if contracted_last else [*batch, *contracted, *free]
    return x._replace(layout=x.layout.transpose(order))


def _strides(shape: Any) -> list[int]:
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
