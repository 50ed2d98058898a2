"""Every figure: functions that take arrays and a path and write a PNG.

Pictures of images are drawn pixel for pixel, every pixel of an image as a square of whole pixels of the file. Nothing
touches matplotlib's global state, and matplotlib itself is imported by the first figure.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxvae.errors import UserError, check_shape

_DPI = 128  # a power of two: sizes in inches are then exact, and no pixel is lost to rounding
_MARGIN = 16  # pixels round a picture
_GAP = 2  # pixels between images
_IMAGE_SIDE = 84  # pixels that the longer side of an image is enlarged to, at least
_MAX_WIDTH = 1600  # pixels; more columns than fit are not enlarged
_INK, _FAINT, _MUTED, _BLUE, _ORANGE = "#222222", "#e4e4e4", "#b4b4b4", "#1f77b4", "#e1701a"
# Panels of the training curves: metric, title, unit.
_PANELS = (
    ("loss", "Loss", "nats per image"),
    ("elbo", "ELBO", "nats per image"),
    ("reconstruction", "Reconstruction, $-$log p(x | z)", "nats per image"),
    ("kl", "KL", "nats per image"),
)


# ---------- pictures


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
    path: str | Path, originals: Any, reconstructions: Any, title: str = "Originals and reconstructions"
) -> None:
    """Draw every image above its reconstruction, at most twelve pairs in a row.

    Args:
      path: PNG file to write.
      originals: [N, H, W, C] in [0, 1].
      reconstructions: [N, H, W, C] in [0, 1].
      title: above the picture.
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
    labels = []
    for top in range(0, tops[num - 1] + 1, pair):
        labels += [_Label(-10, top + height // 2, "original", "right", "center")]
        labels += [_Label(-10, top + height + height // 2, "reconstruction", "right", "center")]
    _save_tiles(path, tiles, list(zip(tops, lefts, strict=True)), title, labels, left=130)


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


# ---------- latents


def save_latents(path: str | Path, means: Any, labels: Any = None, title: str = "Posterior means") -> None:
    """Draw where the posterior puts the examples: two latent dimensions, or the first two principal components of more.

    Args:
      path: PNG file to write.
      means: [N, D]. A single dimension is drawn with random heights.
      labels: classes [N], or None. Up to ten have a legend; more are shades of one colour scale.
      title: above the plot.

    Raises:
      UserError: if matplotlib or scikit-learn is not installed.
    """
    means = np.asarray(means, np.float64)
    check_shape("means", means, (None, None))
    points, names = _plane(means)
    figure, axes = _plot(title, *names, width=7.5, height=6.0)
    order = np.random.default_rng(0).permutation(len(points))  # else the last class covers the others
    style: dict[str, Any] = {"s": float(np.clip(20_000 / len(points), 4.0, 30.0)), "alpha": 0.6, "linewidths": 0}
    if labels is None:
        axes.scatter(*points[order].T, color=_BLUE, **style)
    else:
        check_shape("labels", labels, (len(points),))
        classes, index = np.unique(np.asarray(labels), return_inverse=True)
        if len(classes) <= 10:
            cloud = axes.scatter(*points[order].T, c=index[order], cmap="tab10", vmin=0, vmax=9, **style)
            colors = cloud.cmap(range(len(classes)))
            dots = [axes.plot([], [], "o", color=color, markersize=7)[0] for color in colors]
            axes.legend(
                dots, [str(name) for name in classes], title="class", loc="center left", bbox_to_anchor=(1, 0.5)
            )
            axes.get_legend().set_frame_on(False)
        else:
            axes.scatter(*points[order].T, c=index[order], cmap="viridis", **style)
    if means.shape[1] > 1:
        axes.set_aspect("equal", adjustable="datalim")
    else:
        axes.set_yticks([])
    _write(figure, path)


def save_kl_per_dimension(path: str | Path, kl: Any, active: Any) -> None:
    """Draw the KL of every latent dimension as a bar, the largest first.

    Args:
      path: PNG file to write.
      kl: mean KL, [D], nats.
      active: which units are active, [D] bool.
    """
    kl, active = np.asarray(kl, np.float64), np.asarray(active, bool)
    check_shape("kl", kl, (None,))
    check_shape("active", active, kl.shape)
    order = np.argsort(-kl, kind="stable")
    title = f"{active.sum()} of {len(kl)} latent units active, KL {kl.sum():.1f} nats"
    figure, axes = _plot(title, "latent dimension, sorted by its KL", "mean KL [nats]", width=8.0, height=4.2)
    axes.grid(axis="x", visible=False)
    for shown, color, name in ((active, _BLUE, "active"), (~active, _MUTED, "inactive")):
        places = np.flatnonzero(shown[order])
        if len(places):
            axes.bar(places, kl[order][places], width=0.8, color=color, label=f"{name} ({len(places)})")
    axes.legend(frameon=False)
    if len(kl) <= 64:  # more would not be legible
        axes.set_xticks(range(len(kl)), [str(n) for n in order], fontsize=8 if len(kl) <= 32 else 6)
    else:
        axes.set_xticks([])
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.8, len(kl) - 0.2)
    _write(figure, path)


# ---------- numbers


def save_curves(path: str | Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Draw loss, ELBO, reconstruction and KL against the step; what was not recorded has no panel.

    The range of a panel is that of the later nine tenths of the training, so that its first steps do not flatten the
    rest. A loss that is the negative ELBO is not drawn a second time.

    Args:
      path: PNG file to write.
      records: lines of `metrics.jsonl`, {"step": int, "part": "train" or "valid", metric: float, ...}.

    Raises:
      ValueError: if no metric of a panel was recorded.
    """
    panels = [panel for panel in _PANELS if any(panel[0] in record for record in records)]
    if not panels:
        raise ValueError(
            f"None of {', '.join(panel[0] for panel in _PANELS)} is in the records, expected one at least."
        )
    both = [(record["loss"], record["elbo"]) for record in records if "loss" in record and "elbo" in record]
    if len(panels) > 1 and both and all(math.isclose(loss, -elbo, rel_tol=1e-4) for loss, elbo in both):
        panels = [panel for panel in panels if panel[0] != "loss"]
    columns = 2 if len(panels) in (2, 4) else len(panels)
    rows = math.ceil(len(panels) / columns)
    figure = _figure(4.6 * columns + 0.4, 3.5 * rows)
    for number, (metric, title, unit) in enumerate(panels):
        axes = _styled(figure.add_subplot(rows, columns, number + 1), title, "step", unit)
        drawn = []
        for part, color in (("train", _BLUE), ("valid", _ORANGE)):
            lines = [(r["step"], r[metric]) for r in records if r.get("part") == part and metric in r]
            if lines:
                steps, values = np.array(lines, np.float64).T
                marker = "o" if len(steps) <= 40 else ""
                label = f"{part}, last {values[-1]:,.2f}".replace("-", "\N{MINUS SIGN}")
                axes.plot(steps, values, color=color, linewidth=1.5, marker=marker, markersize=3.5, label=label)
                drawn.append((steps, values))
        if drawn:
            low, high = _robust_limits(*np.concatenate(drawn, axis=1))
            if metric == "kl":  # from 0, which a collapse is near
                low, high = min(low, 0.0), 1.06 * high
            axes.set_ylim(low, high)
            axes.legend(frameon=False, fontsize=8)
        axes.locator_params(axis="x", nbins=5, integer=True)
        axes.xaxis.set_major_formatter("{x:,.0f}")
    _write(figure, path)


def save_rate_distortion(
    path: str | Path, rates: Any, distortions: Any, labels: Sequence[str], title: str = "Rate and distortion"
) -> None:
    """Draw models in the rate-distortion plane (Alemi et al. 2018, arXiv:1711.00464), with their lines of equal ELBO.

    Args:
      path: PNG file to write.
      rates: mean KL(q(z|x) || p(z)) of P models, [P], nats.
      distortions: mean -log p(x | z), [P], nats.
      labels: beside the points, as "β = 4"; P of them.
      title: above the plot.
    """
    rates, distortions = np.asarray(rates, np.float64), np.asarray(distortions, np.float64)
    check_shape("rates", rates, (len(labels),))
    check_shape("distortions", distortions, rates.shape)
    figure, axes = _plot(title, "rate, KL [nats]", "distortion, $-$log p(x | z) [nats]", width=7.0, height=5.4)
    for point in zip(rates, distortions, strict=True):
        axes.axline(point, slope=-1.0, color=_MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axes.plot([], [], color=_MUTED, linewidth=0.8, linestyle=(0, (4, 3)), label="equal ELBO")
    axes.legend(frameon=False)
    order = np.argsort(rates, kind="stable")
    axes.plot(rates[order], distortions[order], "o-", color=_BLUE, linewidth=1.5, markersize=7, zorder=3)
    for rate, distortion, label in zip(rates, distortions, labels, strict=True):
        axes.annotate(label, (rate, distortion), (7, 6), textcoords="offset points", fontsize=9, color=_INK, zorder=4)
    for low, high, set_limits in (
        (rates.min(), rates.max(), axes.set_xlim),
        (distortions.min(), distortions.max(), axes.set_ylim),
    ):
        span = max(high - low, 1.0)
        set_limits(low - 0.12 * span, high + 0.25 * span)  # room for the labels
    _write(figure, path)


def save_learning_curve(
    path: str | Path, sizes: Any, curves: Mapping[str, Any], ylabel: str, title: str = "Learning curve"
) -> None:
    """Draw results against the number of training images, which is on a logarithmic axis.

    Args:
      path: PNG file to write.
      sizes: training images, [P].
      curves: name -> values [P].
      ylabel: quantity and unit of the values.
      title: above the plot.
    """
    sizes = np.asarray(sizes)
    check_shape("sizes", sizes, (None,))
    figure, axes = _plot(title, "training images", ylabel, width=7.0, height=4.6)
    for name, values in curves.items():
        check_shape(name, np.asarray(values), sizes.shape)
        axes.plot(sizes, np.asarray(values), "o-", linewidth=1.5, markersize=5, label=name)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes.tolist()])
    axes.set_xticks([], minor=True)
    axes.legend(frameon=False)
    _write(figure, path)


# ---------- private


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
            color = [int(_ORANGE[n : n + 2], 16) for n in (1, 3, 5)]
            canvas[y - border : y + height + border, x - border : x + width + border] = color
        canvas[y : y + height, x : x + width] = tile
    figure = _figure(total_width / _DPI, total_height / _DPI, layout=None)
    figure.figimage(canvas)
    if title:
        labels = [*labels, _Label(0, _MARGIN - y_0, title, "left", "top")]
    for label in labels:
        x, y = (x_0 + label.x) / total_width, 1.0 - (y_0 + label.y) / total_height
        size = 10 if label.text == title else 8.5
        figure.text(x, y, label.text, ha=label.horizontal, va=label.vertical, fontsize=size, color=_INK)
    _write(figure, path)


def _plane(means: np.ndarray) -> tuple[np.ndarray, tuple[str, str]]:
    """Return points [N, 2] and what their axes are."""
    if means.shape[1] == 2:
        return means, ("$z_1$", "$z_2$")
    if means.shape[1] == 1:
        return np.column_stack([means, np.random.default_rng(1).random(len(means))]), ("$z_1$", "")
    try:
        from sklearn.decomposition import PCA
    except ImportError as error:
        raise UserError(
            "A figure of more than two latent dimensions needs scikit-learn, which is not installed; "
            'pip install "jaxvae[experiments]".'
        ) from error
    pca = PCA(n_components=2, random_state=0)
    # The means of a collapsed posterior are all equal and have no variance to explain.
    with np.errstate(invalid="ignore"):
        points = pca.fit_transform(means)
    shares = 100.0 * np.nan_to_num(pca.explained_variance_ratio_)
    first, second = (f"principal component {n + 1} ({share:.0f}% of variance)" for n, share in enumerate(shares))
    return points, (first, second)


def _robust_limits(steps: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return a range of y that shows how training went on, whatever its first values and single spikes were."""
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    if not len(values):
        return 0.0, 1.0
    later = values[steps >= steps.min() + 0.1 * (steps.max() - steps.min())] if len(values) >= 10 else values
    low, high = np.percentile(later, [1, 99])
    spread = 0.3 * (high - low)
    low, high = max(low - spread, values.min()), min(high + spread, values.max())
    margin = 0.06 * (high - low) or 0.5
    return float(low - margin), float(high + margin)


def _figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Any:
    """Return an empty figure, inches, that no window and no global state knows of."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(
            'Figures need matplotlib, which is not installed; pip install "jaxvae[experiments]".'
        ) from error
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white", layout=layout)
    if layout:
        engine: Any = figure.get_layout_engine()
        engine.set(w_pad=0.14, h_pad=0.14)  # inches
    return figure


def _plot(title: str, xlabel: str, ylabel: str, width: float, height: float) -> tuple[Any, Any]:
    figure = _figure(width, height)
    return figure, _styled(figure.add_subplot(), title, xlabel, ylabel)


def _styled(axes: Any, title: str, xlabel: str, ylabel: str) -> Any:
    axes.set_title(title, loc="left", fontsize=11, color=_INK, pad=10)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=_FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def _write(figure: Any, path: str | Path) -> None:
    figure.savefig(path, format="png", dpi=_DPI, facecolor="white")
