"""Operations that move numbers and change none: views of a value, and arrays that are assembled of parts.

Each is called as (builder, *arguments, **parameters of the primitive, shape and kind of the result) -> its view.
"""

from typing import Any

import numpy as np

from jaxvae.explorer.builder import Builder, View, placed


def reshape(builder: Builder, x: View, *, shape: Any, **_: Any) -> View:
    """Return the numbers in another shape."""
    if not np.may_share_memory(x.layout.reshape(shape), x.layout):  # NumPy had to copy: so has the page
        x = builder.contiguous(x)
    return x._replace(layout=x.layout.reshape(shape))


def broadcast(builder: Builder, x: View, *_: View, broadcast_dimensions: Any, shape: Any, **__: Any) -> View:
    """Repeat the numbers along new axes and those of length 1."""
    wide = [1] * len(shape)
    for axis, length in zip(broadcast_dimensions, x.shape, strict=True):
        wide[axis] = length
    expanded = reshape(builder, x, shape=wide)
    return expanded._replace(layout=np.broadcast_to(expanded.layout, shape))


def transpose(builder: Builder, x: View, *, permutation: Any, **_: Any) -> View:
    """Order the axes anew."""
    return x._replace(layout=x.layout.transpose(permutation))


def reverse(builder: Builder, x: View, *, dimensions: Any, **_: Any) -> View:
    """Turn some axes round."""
    return x._replace(layout=np.flip(x.layout, dimensions))


def cut(builder: Builder, x: View, *, start_indices: Any, limit_indices: Any, strides: Any, **_: Any) -> View:
    """Take a range of every axis."""
    return x._replace(layout=x.layout[tuple(map(slice, start_indices, limit_indices, strides or [1] * x.layout.ndim))])


def split(builder: Builder, x: View, *, sizes: Any, axis: int, **_: Any) -> list[View]:
    """Cut an axis into pieces."""
    ends = np.cumsum(sizes)[:-1]
    return [x._replace(layout=part) for part in np.split(x.layout, ends, axis)]


def concatenate(builder: Builder, *parts: View, dimension: int, shape: Any, kind: str, **_: Any) -> View:
    """Join arrays along an axis."""
    starts = np.cumsum([0, *(part.shape[dimension] for part in parts)])
    places = [tuple(int(start) * (axis == dimension) for axis in range(len(shape))) for start in starts]
    return builder.assembled(shape, [placed(part, at) for part, at in zip(parts, places, strict=False)], kind)


def stack(builder: Builder, *parts: View, axis: int, shape: Any, kind: str, **_: Any) -> View:
    """Join arrays along a new axis."""
    wide = [part._replace(layout=np.expand_dims(part.layout, axis)) for part in parts]
    return concatenate(builder, *wide, dimension=axis, shape=shape, kind=kind)


def pad(builder: Builder, x: View, fill: View, *, padding_config: Any, shape: Any, kind: str, **_: Any) -> View:
    """Add numbers around and between, or cut some off."""
    # Of an axis with negative padding, what lies outside is cropped first.
    crop, start, skips = [], [], []
    for (low, _high, interior), length, size in zip(padding_config, x.shape, shape, strict=True):
        skip = interior + 1
        first = max(0, -(low // skip)) if low < 0 else 0
        last = min(length, -(-(size - low) // skip))
        crop.append(slice(first, max(first, last)))
        start.append(low + first * skip)
        skips.append(skip)
    inner = x._replace(layout=x.layout[tuple(crop)])
    if inner.shape == tuple(shape):
        return inner
    around = placed(fill._replace(layout=np.broadcast_to(fill.layout, shape)))
    return builder.assembled(shape, [around, *([placed(inner, start, skips)] if inner.layout.size else [])], kind)
