"""Convolutions as one matrix product, for the CPU: XLA's own are several times slower there, most of all inside loops.

The textbook form copies the whole window of every pixel of the output, kh * kw times the image, and spends more time on
memory than on arithmetic. Here the windows are only as high as the stride: a window of s rows and kw columns is
multiplied by all slices of s rows of the kernel at once, and the products of neighbouring rows of windows are added,

  convolution:             y = collect(cut(x) K)
  transposed convolution:  y = merge(spread(x) K')

so that both intermediate arrays grow by one side of the kernel instead of by its area. Rows of windows outside the
image, two of nine for a 3x3 kernel and a 7x7 map, are not multiplied. The four functions are linear; merge is the
transpose of cut and spread that of collect, so the gradient of either convolution is of the same kind.

Of arguments in half precision the products are added up in float32 and the result is rounded once, as if a pixel were
one sum.

References:
  Chellapilla et al., "High performance convolutional neural networks for document processing", 2006 (windows and GEMM).
"""

import functools
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jaxvae.types import Array

Pair = tuple[int, int]


class Grid(NamedTuple):
    """Where the windows of a kernel lie: number i covers the pixels i * stride - low + [0, ..., blocks * stride - 1].

    Each entry is for (rows, columns). The kernel counts in blocks of one stride, its last ones padded with zeros.
    """

    image: Pair  # pixels
    num: Pair  # windows
    strides: Pair
    blocks: Pair  # strides that a kernel spans
    low: Pair  # zeros before the first pixel

    @property
    def blank(self) -> Pair:
        """Rows of blocks above and below the image, whose products are zero and left out."""
        most = self.blocks[0] - 1
        above, covered = self.low[0] // self.strides[0], -(-(self.low[0] + self.image[0]) // self.strides[0])
        return min(above, most), min(max(self.num[0] + most - covered, 0), most)

    @property
    def rows(self) -> int:
        """Rows of blocks that meet the image."""
        return self.num[0] + self.blocks[0] - 1 - sum(self.blank)


def conv_gemm(x: Array, kernel: Array, strides: Pair = (1, 1), low: Pair | None = None) -> Array:
    """Convolve images, zeros outside.

    Args:
      x: images, [B, H, W, cin].
      kernel: [kh, kw, cin, cout].
      strides: of the windows.
      low: rows above the image and columns to its left at which the windows begin; None centres them, SAME padding.

    Returns:
      [B, ceil(H / strides[0]), ceil(W / strides[1]), cout], of the type of x.
    """
    image = (x.shape[1], x.shape[2])
    num = (-(-image[0] // strides[0]), -(-image[1] // strides[1]))
    if low is None:
        low = (_low(image[0], num[0], kernel.shape[0], strides[0]), _low(image[1], num[1], kernel.shape[1], strides[1]))
    grid = Grid(image, num, strides, _blocks(kernel, strides), low)
    # [rows of blocks, row in a block, columns, cin, cout] -> [row in a block, columns, cin; rows of blocks, cout]
    matrix = _pad_to_blocks(kernel, grid).transpose(1, 2, 3, 0, 4).reshape(-1, grid.blocks[0] * kernel.shape[-1])
    return collect(_matmul(cut(x, grid), matrix), grid).astype(x.dtype)


def conv_transpose_gemm(x: Array, kernel: Array, strides: Pair = (1, 1)) -> Array:
    """Convolve dilated images with SAME padding.

    Args:
      x: images, [B, H, W, cin].
      kernel: [kh, kw, cin, cout], not flipped: as in `lax.conv_transpose` it meets the dilated image as it is.
      strides: how many times larger the output is.

    Returns:
      [B, H * strides[0], W * strides[1], cout], of the type of x.
    """
    num = (x.shape[1], x.shape[2])
    image = (num[0] * strides[0], num[1] * strides[1])
    low = (max(kernel.shape[0] - strides[0], 0) // 2, max(kernel.shape[1] - strides[1], 0) // 2)
    grid = Grid(image, num, strides, _blocks(kernel, strides), low)
    # A pixel is spread over its window by the flipped kernel.
    blocks = _pad_to_blocks(kernel[::-1, ::-1], grid)
    matrix = blocks.transpose(0, 3, 1, 2, 4).reshape(grid.blocks[0] * kernel.shape[2], -1)
    return merge(_matmul(spread(x, grid), matrix), grid).astype(x.dtype)


def cut(x: Array, grid: Grid) -> Array:
    """Cut the windows of one stride of rows out of images, zeros outside.

    Args:
      x: [B, H, W, C].
      grid: with num = (_, w).

    Returns:
      [B, grid.rows, w, F]: F runs over the rows of a stride, the columns of the window and C.
    """
    columns, (sh, sw), mw = grid.num[1], grid.strides, grid.blocks[1]
    span = (grid.rows, columns + mw - 1)  # strides that all windows cover
    low = (grid.low[0] - grid.blank[0] * sh, grid.low[1])
    pads = [(lo, n * s - lo - size, 0) for lo, n, s, size in zip(low, span, grid.strides, grid.image, strict=True)]
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *pads, (0, 0, 0)))  # or crop, where no window sees the end
    x = x.reshape(x.shape[0], span[0], sh, span[1], sw * x.shape[-1])
    slices = [x[:, :, a, j : j + columns] for a in range(sh) for j in range(mw)]
    return jnp.stack(slices, 3).reshape(x.shape[0], span[0], columns, -1)


def merge(p: Array, grid: Grid) -> Array:
    """Add windows up to images, the transpose of `cut`: [B, grid.rows, w, F] -> [B, H, W, C]."""
    columns, (sh, sw), mw = grid.num[1], grid.strides, grid.blocks[1]
    p = p.reshape(p.shape[0], grid.rows, columns, sh, mw, -1)
    zero = jnp.zeros((), p.dtype)
    shifted = [
        lax.pad(p[:, :, :, :, j], zero, ((0, 0, 0), (0, 0, 0), (j, mw - 1 - j, 0), (0, 0, 0), (0, 0, 0)))
        for j in range(mw)
    ]
    x = sum(shifted[1:], shifted[0]).transpose(0, 1, 3, 2, 4)  # [B, row of strides, sh, column of strides, sw * C]
    x = x.reshape(p.shape[0], x.shape[1] * sh, x.shape[3] * sw, -1)
    top, left = grid.low[0] - grid.blank[0] * sh, grid.low[1]
    return x[:, top : top + grid.image[0], left : left + grid.image[1]]


def collect(p: Array, grid: Grid) -> Array:
    """Add what the m rows of blocks of a kernel give to one row: [B, grid.rows, w, m * C] -> [B, h, w, C].

    y[h, w] = sum_i p[h + i - blank rows above, w, i], zero beyond the rows of p
    """
    mh, (above, below) = grid.blocks[0], grid.blank
    p = p.reshape(*p.shape[:3], mh, -1)
    pads = [((0, 0, 0), (above - i, below - (mh - 1 - i), 0), (0, 0, 0), (0, 0, 0)) for i in range(mh)]  # or crops
    shifted = [lax.pad(p[:, :, :, i], jnp.zeros((), p.dtype), pad) for i, pad in enumerate(pads)]
    return functools.reduce(jnp.add, shifted)


def spread(x: Array, grid: Grid) -> Array:
    """Give each row to m rows of windows, the transpose of `collect`: [B, h, w, C] -> [B, grid.rows, w, m * C]."""
    mh, (above, below) = grid.blocks[0], grid.blank
    x = jnp.pad(x, ((0, 0), (mh - 1 - above, mh - 1 - below), (0, 0), (0, 0)))
    return jnp.concatenate([x[:, mh - 1 - i : mh - 1 - i + grid.rows] for i in range(mh)], -1)


def _matmul(p: Array, matrix: Array) -> Array:
    dtype = jnp.promote_types(p.dtype, jnp.float32)
    y = jnp.matmul(p.reshape(-1, p.shape[-1]), matrix, preferred_element_type=dtype)
    return y.reshape(*p.shape[:-1], -1)


def _low(size: int, num: int, kernel: int, stride: int) -> int:
    """Half of the zeros that SAME padding needs, the smaller half."""
    return max((num - 1) * stride + kernel - size, 0) // 2


def _blocks(kernel: Array, strides: Pair) -> Pair:
    return -(-kernel.shape[0] // strides[0]), -(-kernel.shape[1] // strides[1])


def _pad_to_blocks(kernel: Array, grid: Grid) -> Array:
    """[kh, kw, cin, cout] -> [rows of blocks, rows of a block, columns, cin, cout]."""
    kh, kw, cin, cout = kernel.shape
    size = [m * s for m, s in zip(grid.blocks, grid.strides, strict=True)]
    kernel = jnp.pad(kernel, ((0, size[0] - kh), (0, size[1] - kw), (0, 0), (0, 0)))
    return kernel.reshape(grid.blocks[0], grid.strides[0], size[1], cin, cout)
