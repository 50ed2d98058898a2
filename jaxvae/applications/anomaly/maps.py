"""Where an image is strange: the contributions of its pixels, smoothed, on one scale for all images, and a box."""

from typing import Any, Literal, NamedTuple

import numpy as np

from jaxvae.applications.anomaly.seen import Seen
from jaxvae.capabilities import ScoresPixels, find

Kind = Literal["nll", "error"]
SHARE = 28  # of the longer side of an image: the standard deviation of the smoothing, at least half a pixel
IMPOSSIBLE = 1e6  # nats, in place of infinity, of a pixel with a value that its likelihood has not
LEVEL = 0.95  # of normal images: none of whose pixels is above the level
PART = 0.5  # of the way from the level, or from nothing, to the worst pixel, above which the worst region is


class Box(NamedTuple):
    """A rectangle of pixels; right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int


def kind_of(seen: Seen) -> Kind:
    """Return the kind of maps that a system has: of squared errors where its likelihood is not of single pixels."""
    return "nll" if find(seen.model.system, ScoresPixels) is not None else "error"


def contributions(seen: Seen, kind: Kind) -> np.ndarray:
    """Return what every pixel adds to a score, not smoothed, [N, H, W].

    Args:
      seen: images.
      kind: `nll` is -log p(x_ij | z) in nats, whose sum is the reconstruction term, or -log p(x) of an autoregressive
        model; `error` is the squared error of the reconstruction.
    """
    return seen.pixel_nll if kind == "nll" else seen.errors


def anomaly_maps(seen: Seen, kind: Kind | None = None) -> np.ndarray:
    """Return smoothed maps of what is strange, [N, H, W] float32; a perfect reconstruction is 0 everywhere.

    Args:
      seen: images.
      kind: as of `contributions`; by default that of the system.
    """
    kind = kind or kind_of(seen)
    raw = contributions(seen, kind)
    return smoothed(raw - seen.perfect_pixel_nll if kind == "nll" else raw)


def smoothed(maps: Any) -> np.ndarray:
    """Smooth maps by a Gaussian that stays inside of the image, [N, H, W] -> [N, H, W] float32."""
    maps = np.nan_to_num(np.asarray(maps, np.float32), posinf=IMPOSSIBLE)
    height, width = maps.shape[1:]
    sigma = max(0.5, max(height, width) / SHARE)
    return np.einsum("ih,nhw,jw->nij", _kernel(height, sigma), maps, _kernel(width, sigma), optimize=True)


def normal_level(maps: Any) -> float:
    """Return the value that the worst pixel of most normal images is below: what is above it is worth a colour.

    Args:
      maps: of normal images, [N, H, W].
    """
    return float(np.quantile(np.max(maps, axis=(1, 2)), LEVEL))


def worst_box(one: Any, level: float) -> Box:
    """Return the box round the worst region: the pixels round the worst one that stand out nearly as much.

    Args:
      one: a map [H, W].
      level: see `normal_level`.
    """
    one = np.asarray(one)
    worst = np.unravel_index(np.argmax(one), one.shape)
    base = level if one[worst] > level else float(np.median(one))
    region = _connected(one >= base + PART * (one[worst] - base), (int(worst[0]), int(worst[1])))
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


# ---------- private


def _kernel(size: int, sigma: float) -> np.ndarray:
    """[size, size]: weights of all pixels for each, rows sum to one."""
    distance = np.arange(size)[:, None] - np.arange(size)[None]
    weights = np.exp(-0.5 * np.square(distance / sigma))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _connected(mask: np.ndarray, start: tuple[int, int]) -> np.ndarray:
    """The pixels of a mask that are connected with one of them."""
    found = np.zeros_like(mask)
    found[start] = True
    while True:
        padded = np.pad(found, 1)
        grown = found | padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2]
        grown &= mask
        if (grown == found).all():
            return found
        found = grown
