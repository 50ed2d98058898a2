"""Generated images of one white shape each, all combinations of five factors: for what a latent variable stands for.

Three shapes, 6 sizes, 40 angles and 32 x 32 positions give 737,280 black and white images. An image is a function of
its number: nothing is downloaded or stored. A pixel is white where its centre lies inside of the shape, so that images
are binary and their likelihood exact.

Squares look the same after a quarter of a turn and ellipses after half of one, so that no more than 430,080 images
differ: no code of an image can say all of its angle.
"""

from typing import NamedTuple

import numpy as np

from jaxvae.data.limits import check_memory
from jaxvae.data.parts import PARTS, SPLIT_SEED
from jaxvae.types import Dataset


class Factor(NamedTuple):
    """One of the factors of which an image is made."""

    name: str
    num: int  # values, numbered from 0
    ordered: bool  # whether neighbouring values look alike


SHAPES = ("square", "ellipse", "heart")
FACTORS = (
    Factor("shape", len(SHAPES), ordered=False),
    Factor("scale", 6, ordered=True),
    Factor("angle", 40, ordered=True),
    Factor("x", 32, ordered=True),
    Factor("y", 32, ordered=True),
)
SIZES = tuple(factor.num for factor in FACTORS)
NUM = int(np.prod(SIZES))
SYMMETRY = (4, 2, 1)  # turns of 1/4, 1/2 and 1 after which a shape looks the same
SIDE = 32  # pixels, where no other size is asked for
HELD_OUT = 10_000  # images of the validation and of the test set each

RADIUS = 0.25  # of the circle around the largest shape, in sides of the image
STEP = 1 / 64  # from one position to the next, in the same unit: half a pixel of 32
HEART, HEART_MIDDLE = 1.25, 0.25  # the heart (x^2 + y^2 - 1)^3 = x^2 y^3 is in a circle of that radius and height
EDGE = 1e-9  # by which a point on the outline is inside, whatever the rounding


def factors_of(indices: np.ndarray) -> np.ndarray:
    """Return the factors of images by their numbers.

    Args:
      indices: numbers from 0 to 737,279, [N].

    Returns:
      Shape, scale, angle, x and y, [N, 5]: places among the values of each factor.
    """
    return np.stack(np.unravel_index(indices, SIZES), axis=-1)


def index_of(factors: np.ndarray) -> np.ndarray:
    """Return the numbers of images of some factors, [N, 5] -> [N]."""
    return np.ravel_multi_index(tuple(np.moveaxis(factors, -1, 0)), SIZES)


def perfect_code(factors: np.ndarray) -> np.ndarray:
    """Return all that images say of their factors, a number for each factor, [N, 5].

    In place of the angle it is the share of the turn after which the shape looks the same, 0 to below 1.
    """
    period = FACTORS[2].num // np.array(SYMMETRY)[factors[:, 0]]
    code = factors.astype(np.float64)
    code[:, 2] = factors[:, 2] % period / period
    return code


def render(indices: np.ndarray, size: int = SIDE) -> np.ndarray:
    """Draw images by their numbers.

    Args:
      indices: numbers from 0 to 737,279, [N].
      size: side in pixels.

    Returns:
      [N, size, size, 1] uint8, 0 black and 1 white.
    """
    of_image = factors_of(indices)
    images = np.empty((len(of_image), size, size, 1), np.uint8)
    # A shape is drawn once on all points that any of its positions shows, from which each takes its own.
    points, places = _points(size)
    kinds, kind_of = np.unique(of_image[:, :3], axis=0, return_inverse=True)
    by_kind = np.argsort(kind_of.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(kind_of.ravel(), minlength=len(kinds)))
    for (shape, scale, angle), rows in zip(kinds, np.split(by_kind, ends[:-1]), strict=True):
        canvas = _inside(SHAPES[shape], 0.5 + scale / 10, 2 * np.pi * angle / FACTORS[2].num, points)
        x, y = places[of_image[rows, 3]], places[of_image[rows, 4]]
        images[rows] = canvas[y[:, :, None], x[:, None, :]][..., None]
    return images


def part_indices() -> dict[str, np.ndarray]:
    """Return the numbers of the images of each part, in rising order.

    10,000 images each are drawn for validation and test by a fixed seed; the others are for training. An image of the
    test set can look like one of the training set, which has other factors.
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(NUM)
    ends = (NUM - 2 * HELD_OUT, NUM - HELD_OUT)
    return {part: np.sort(rows) for part, rows in zip(PARTS, np.split(order, ends), strict=True)}


def load(size: int | None = None) -> tuple[dict[str, Dataset], tuple[str, ...]]:
    """Draw all images.

    Args:
      size: side in pixels; None takes 32, in which all images are 755 MB.

    Returns:
      "train", "valid" and "test", images [N, size, size, 1] uint8 {0, 1} with the shape as label, in the order of
      `part_indices`; and the names of the shapes.

    Raises:
      UserError: if they would take more than half of the memory.
    """
    side = size or SIDE
    check_memory(NUM * side**2, f"sprites of {side}x{side} pixels")
    indices = part_indices()
    parts = {part: Dataset(render(rows, side), _shapes(rows)) for part, rows in indices.items()}
    return parts, SHAPES


# ---------- private


def _shapes(indices: np.ndarray) -> np.ndarray:
    return factors_of(indices)[:, 0].astype(np.int32)


def _points(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances of pixel centres from the centres of all positions, [P], and which of them a position has, [32, size].

    The positions are in the middle of the image, where the largest shape is inside of it at every one.
    """
    num = FACTORS[3].num
    centres = 0.5 + (np.arange(num) - (num - 1) / 2) * STEP
    distances = (np.arange(size) + 0.5) / size - centres[:, None]
    points, places = np.unique(np.round(distances, 9), return_inverse=True)
    return points, places.reshape(distances.shape)


def _inside(shape: str, scale: float, angle: float, points: np.ndarray) -> np.ndarray:
    """Whether points [P] x [P] of a lattice around the middle of a shape are inside of it, [P, P] of (y, x)."""
    x, y = points[None, :] / (RADIUS * scale), -points[:, None] / (RADIUS * scale)  # y rises, the circle has radius 1
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    if shape == "square":
        return np.maximum(np.abs(u), np.abs(v)) <= np.sqrt(0.5) + EDGE
    if shape == "ellipse":
        return u**2 + (2 * v) ** 2 <= 1 + EDGE
    u, v = HEART * u, HEART * v + HEART_MIDDLE
    return (u**2 + v**2 - 1) ** 3 <= u**2 * v**3 + EDGE
