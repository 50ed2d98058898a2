"""Pictures of images, drawn pixel for pixel: every pixel of an image is a square of whole pixels of the file."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from jaxvae.errors import check_shape
from jaxvae.viz.canvas import DPI, INK, ORANGE, figure_of, write

_MARGIN = 16  # pixels round a picture
_GAP = 2  # pixels between images
_IMAGE_SIDE = 84  # pixels that the longer side of an image is enlarged to, at least
_LETTER = 9  # pixels, of labels
_PAIRS, _LINE = 5, 2  # images with their maps in a row; pixels, of outlines
_MAX_WIDTH = 1600  # pixels; more columns than fit are not enlarged


def save_grid(path: str | Path, images: Any, columns: int | None = None, title: str = "") -> None:
    """Draw images row by row.

    Args:
      path: PNG file to write.
      images: [N, H, W, C] in [0, 1], C 1 or 3; values outside are clipped.
      columns: images in a row; by default as many as rows.
      title: above the picture.
    """
    images = _checked(images)
    columns = min(columns or math.ceil(math.sqrt(len(images))), len(images))
    tiles = _enlarged(images, columns)
    height, width = tiles.shape[1] + _GAP, tiles.shape[2] + _GAP
    corners = [(index // columns * height, index % columns * width) for index in range(len(tiles))]
    _save_tiles(path, tiles, corners, title)


def save_reconstructions(
    path: str | Path,
    originals: Any,
    reconstructions: Any,
    title: str = "Originals and reconstructions",
    labels: tuple[str, str] = ("original", "reconstruction"),
) -> None:
    """Draw every image above its reconstruction, at most twelve pairs in a row.

    Args:
      path: PNG file to write.
      originals: [N, H, W, C] in [0, 1].
      reconstructions: [N, H, W, C] in [0, 1].
      title: above the picture.
      labels: of the rows of both.
    """
    originals, reconstructions = _checked(originals), _checked(reconstructions)
    check_shape("reconstructions", reconstructions, originals.shape)
    num = len(originals)
    columns = math.ceil(num / math.ceil(num / 12))
    tiles = _enlarged(np.concatenate([originals, reconstructions]), columns)
    height, width = tiles.shape[1] + _GAP, tiles.shape[2] + _GAP
    pair = 2 * height + 6 * _GAP
    tops = [index % num // columns * pair + index // num * height for index in range(2 * num)]
    lefts = [index % num % columns * width for index in range(2 * num)]
    texts = [
        _Label(-10, top + row * height + height // 2, label, "right", "center")
        for top in range(0, tops[num - 1] + 1, pair)
        for row, label in enumerate(labels)
    ]
    _save_tiles(path, tiles, list(zip(tops, lefts, strict=True)), title, texts, left=130)


def save_rows(path: str | Path, rows: Mapping[str, Any], title: str = "") -> None:
    """Draw rows of images, each with its name beside it.

    Args:
      path: PNG file to write.
      rows: name -> images [N, H, W, C] in [0, 1], of one shape.
      title: above the picture.
    """
    images = [_checked(row) for row in rows.values()]
    for name, row in zip(rows, images, strict=True):
        check_shape(name, row, images[0].shape)
    num = len(images[0])
    tiles = _enlarged(np.concatenate(images), num)
    height, width = tiles.shape[1] + _GAP, tiles.shape[2] + _GAP
    corners = [(index // num * height, index % num * width) for index in range(len(tiles))]
    labels = [_Label(-10, row * height + height // 2, name, "right", "center") for row, name in enumerate(rows)]
    _save_tiles(path, tiles, corners, title, labels, left=_LETTER * max(map(len, rows)) + 20)


def save_manifold(path: str | Path, images: Any, title: str = "Decoded grid over the prior's quantiles") -> None:
    """Draw a seamless square of images decoded from `sampling.manifold`, in its order (Kingma & Welling 2014, fig. 4).

    Args:
      path: PNG file to write.
      images: [n * n, H, W, C] in [0, 1].
      title: above the picture.
    """
    images = _checked(images)
    side = math.isqrt(len(images))
    check_shape("images", images, (side * side, None, None, None))
    tiles = _enlarged(images, side, at_most=960)
    height, width = tiles.shape[1:3]
    corners = [(index // side * height, index % side * width) for index in range(len(tiles))]
    labels = []
    middle = {side // 2} if side % 2 else set()
    for index in sorted({0, side // 4, side - 1 - side // 4, side - 1} | middle):
        value = f"{NormalDist().inv_cdf((index + 0.5) / side):.1f}".replace("-", "\N{MINUS SIGN}")
        labels.append(_Label(index * width + width // 2, side * height + 6, value, "center", "top"))
        labels.append(_Label(-8, (side - 1 - index) * height + height // 2, value, "right", "center"))
    labels.append(_Label(side * width // 2, side * height + 28, "$z_1$", "center", "top"))
    labels.append(_Label(-52, side * height // 2, "$z_2$", "right", "center"))
    _save_tiles(path, tiles, corners, title, labels, left=72, bottom=40)


def save_interpolations(path: str | Path, images: Any, title: str = "Interpolations between two latents") -> None:
    """Draw one path a row, its end points framed.

    Args:
      path: PNG file to write.
      images: R paths of T images, [R, T, H, W, C] in [0, 1].
      title: above the picture.
    """
    check_shape("images", images, (None, None, None, None, None))
    rows, columns = images.shape[:2]
    tiles = _enlarged(_checked(np.reshape(images, (-1, *images.shape[2:]))), columns)
    height, width = tiles.shape[1] + 5 * _GAP, tiles.shape[2] + 2 * _GAP
    # The framed ends stand apart from what lies between them.
    offsets = [column * width + 3 * _GAP * ((column > 0) + (column == columns - 1)) for column in range(columns)]
    corners = [(row * height, offset) for row in range(rows) for offset in offsets]
    ends = [index for index in range(len(tiles)) if index % columns in (0, columns - 1)]
    bottom = rows * height
    labels = [
        _Label(offsets[0] + tiles.shape[2] // 2, bottom, "$t = 0$", "center", "top"),
        _Label(offsets[-1] + tiles.shape[2] // 2, bottom, "$t = 1$", "center", "top"),
    ]
    _save_tiles(path, tiles, corners, title, labels if columns > 1 else (), bottom=24, framed=ends)


def save_anomalies(
    path: str | Path,
    images: Any,
    heat: Any,
    boxes: Mapping[int, Sequence[int]],
    labels: Sequence[str],
    title: str = "",
) -> None:
    """Draw images, each with a copy beside it in which is red what is strange, and a box round a region of some.

    Args:
      path: PNG file to write.
      images: [N, H, W, C] in [0, 1].
      heat: how red a pixel is, [N, H, W] in [0, 1].
      boxes: by the number of the image: left, top, right and bottom, which are the first pixels outside.
      labels: below each image.
      title: above the picture.
    """
    images, heat = _checked(images), np.clip(np.asarray(heat, np.float32), 0.0, 1.0)[..., None]
    columns, num = min(_PAIRS, len(images)), len(images)
    faint = 0.35 + 0.5 * images.mean(axis=-1, keepdims=True)
    marked = (1 - heat) * faint + heat * np.array([0.85, 0.1, 0.05], np.float32)
    plain = np.broadcast_to(images, marked.shape)
    tiles = _enlarged(np.concatenate([plain, marked]), 2 * columns)
    scale = tiles.shape[1] // images.shape[1]
    for index, box in boxes.items():
        _outline(tiles[num + index], *(scale * edge for edge in box))
    height, width = tiles.shape[1] + 3 * _LETTER, tiles.shape[2] + _GAP
    places = [(index // columns * height, index % columns * (2 * width + 6 * _GAP)) for index in range(num)]
    corners = [*places, *((top, left + width) for top, left in places)]
    texts = [
        _Label(left, top + tiles.shape[1] + 3, label, "left", "top")
        for (top, left), label in zip(places, labels, strict=True)
    ]
    _save_tiles(path, tiles, corners, title, texts, bottom=2 * _LETTER)


# ---------- private


def _outline(tile: np.ndarray, left: int, top: int, right: int, bottom: int) -> None:
    """Draw the outline of a box into an image."""
    color = [int(ORANGE[n : n + 2], 16) for n in (1, 3, 5)]
    for edge in (slice(top, top + _LINE), slice(bottom - _LINE, bottom)):
        tile[edge, left:right] = color
    for edge in (slice(left, left + _LINE), slice(right - _LINE, right)):
        tile[top:bottom, edge] = color


class _Label(NamedTuple):
    """Text in a picture; coordinates are pixels from the upper left corner of its first image."""

    x: int
    y: int
    text: str
    horizontal: str
    vertical: str


def _checked(images: Any) -> np.ndarray:
    """Return images as float32 [N, H, W, C] in [0, 1], NaN as 0."""
    images = np.asarray(images)
    check_shape("images", images, (None, None, None, None))
    if images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"images has shape {list(images.shape)}, expected 1 or 3 channels and no empty axis.")
    if images.dtype.kind in "iu" and images.max() > 1:
        raise ValueError(f"images holds integers up to {images.max()}, expected values in [0, 1].")
    return np.clip(np.nan_to_num(images.astype(np.float32)), 0.0, 1.0)


def _enlarged(images: np.ndarray, columns: int, at_most: int = _MAX_WIDTH) -> np.ndarray:
    """Return images as 8-bit RGB of a size to be looked at, [N, scale * H, scale * W, 3]."""
    height, width = images.shape[1:3]
    scale = max(1, min(math.ceil(_IMAGE_SIDE / max(height, width)), at_most // (columns * width)))
    colored = np.broadcast_to(np.rint(images * 255.0).astype(np.uint8), (*images.shape[:3], 3))
    return colored.repeat(scale, axis=1).repeat(scale, axis=2)


def _save_tiles(
    path: str | Path,
    tiles: np.ndarray,
    corners: Sequence[tuple[int, int]],
    title: str,
    labels: Sequence[_Label] = (),
    *,
    left: int = 0,
    bottom: int = 0,
    framed: Sequence[int] = (),
) -> None:
    """Write a picture.

    Args:
      path: PNG file to write.
      tiles: images [N, h, w, 3] uint8.
      corners: of the images, top and left, pixels.
      title: above them; none if empty.
      labels: texts round them.
      left: pixels kept free for labels.
      bottom: pixels kept free for labels.
      framed: indices of the images that get a frame.
    """
    height, width = tiles.shape[1:3]
    x_0, y_0 = _MARGIN + left, _MARGIN + (32 if title else 0)
    total_height = y_0 + max(top for top, _ in corners) + height + bottom + _MARGIN
    # Ten pixels a letter: a long title over one small image must fit.
    total_width = max(x_0 + max(start for _, start in corners) + width, _MARGIN + 10 * len(title)) + _MARGIN
    canvas = np.full((total_height, total_width, 3), 255, np.uint8)
    for index, (tile, (top, start)) in enumerate(zip(tiles, corners, strict=True)):
        y, x = y_0 + top, x_0 + start
        if index in framed:
            border = 3
            color = [int(ORANGE[n : n + 2], 16) for n in (1, 3, 5)]
            canvas[y - border : y + height + border, x - border : x + width + border] = color
        canvas[y : y + height, x : x + width] = tile
    figure = figure_of(total_width / DPI, total_height / DPI, layout=None)
    figure.figimage(canvas)
    if title:
        labels = [*labels, _Label(0, _MARGIN - y_0, title, "left", "top")]
    for label in labels:
        x, y = (x_0 + label.x) / total_width, 1.0 - (y_0 + label.y) / total_height
        size = 10 if label.text == title else 8.5
        figure.text(x, y, label.text, ha=label.horizontal, va=label.vertical, fontsize=size, color=INK)
    write(figure, path)
