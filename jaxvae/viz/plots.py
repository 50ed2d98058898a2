"""Plots of numbers: latents, rate against distortion, learning curves, noise levels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.errors import UserError, check_shape
from jaxvae.viz.canvas import BLUE, INK, MUTED, plot, write


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
    figure, axes = plot(title, *names, width=7.5, height=6.0)
    order = np.random.default_rng(0).permutation(len(points))  # else the last class covers the others
    style: dict[str, Any] = {"s": float(np.clip(20_000 / len(points), 4.0, 30.0)), "alpha": 0.6, "linewidths": 0}
    if labels is None:
        axes.scatter(*points[order].T, color=BLUE, **style)
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
    write(figure, path)


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
    figure, axes = plot(title, "latent dimension, sorted by its KL", "mean KL [nats]", width=8.0, height=4.2)
    axes.grid(axis="x", visible=False)
    for shown, color, name in ((active, BLUE, "active"), (~active, MUTED, "inactive")):
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
    write(figure, path)


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
    figure, axes = plot(title, "rate, KL [nats]", "distortion, $-$log p(x | z) [nats]", width=7.0, height=5.4)
    for point in zip(rates, distortions, strict=True):
        axes.axline(point, slope=-1.0, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axes.plot([], [], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), label="equal ELBO")
    axes.legend(frameon=False)
    order = np.argsort(rates, kind="stable")
    axes.plot(rates[order], distortions[order], "o-", color=BLUE, linewidth=1.5, markersize=7, zorder=3)
    for rate, distortion, label in zip(rates, distortions, labels, strict=True):
        axes.annotate(label, (rate, distortion), (7, 6), textcoords="offset points", fontsize=9, color=INK, zorder=4)
    for low, high, set_limits in (
        (rates.min(), rates.max(), axes.set_xlim),
        (distortions.min(), distortions.max(), axes.set_ylim),
    ):
        span = max(high - low, 1.0)
        set_limits(low - 0.12 * span, high + 0.25 * span)  # room for the labels
    write(figure, path)


def save_noise_levels(
    path: str | Path, levels: Any, curves: Mapping[str, Any], ylabel: str, noise: str = "noise"
) -> None:
    """Draw how good images are that noise was taken out of, against its level.

    Args:
      path: PNG file to write.
      levels: of the noise, [P].
      curves: name of a method -> values [P].
      ylabel: quantity and unit of the values.
      noise: its kind.
    """
    levels = np.asarray(levels)
    check_shape("levels", levels, (None,))
    figure, axes = plot(f"Images without their {noise} noise", "level of the noise", ylabel, width=7.0, height=4.6)
    _lines(axes, levels, curves)
    write(figure, path)


def save_learning_curve(
    path: str | Path,
    sizes: Any,
    curves: Mapping[str, Any],
    ylabel: str,
    title: str = "Learning curve",
    xlabel: str = "training images",
    spreads: Mapping[str, Any] | None = None,
) -> None:
    """Draw results against the number of training images, which is on a logarithmic axis.

    Args:
      path: PNG file to write.
      sizes: training images, [P].
      curves: name -> values [P].
      ylabel: quantity and unit of the values.
      title: above the plot.
      xlabel: what the sizes are.
      spreads: name -> half the length of bars at the values [P], NaN for none; None draws no bars.
    """
    sizes = np.asarray(sizes)
    check_shape("sizes", sizes, (None,))
    figure, axes = plot(title, xlabel, ylabel, width=7.0, height=4.6)
    _lines(axes, sizes, curves, spreads)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes.tolist()])
    axes.set_xticks([], minor=True)
    write(figure, path)


# ---------- private


def _lines(axes: Any, x: np.ndarray, curves: Mapping[str, Any], spreads: Mapping[str, Any] | None = None) -> None:
    """Draw values [P] of every name against x, [P], with bars of half lengths [P] at them."""
    for name, values in curves.items():
        check_shape(name, np.asarray(values), x.shape)
        bars = None if spreads is None else np.asarray(spreads[name])
        if bars is not None:
            check_shape(f"spreads of {name}", bars, x.shape)
        style = {"linewidth": 1.5, "markersize": 5, "capsize": 3}
        axes.errorbar(x, np.asarray(values), bars, fmt="o-", label=name, **style)
    axes.legend(frameon=False)


def _plane(means: np.ndarray) -> tuple[np.ndarray, tuple[str, str]]:
    """Return points [N, 2] and what their axes are."""
    if means.shape[1] == 2:
        return means, ("$z_1$", "$z_2$")
    if means.shape[1] == 1:
        return np.column_stack([means, np.random.default_rng(1).random(len(means))]), ("$z_1$", "")
    if len(means) < 2:  # one point has no principal components
        return means[:, :2], ("$z_1$", "$z_2$")
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
