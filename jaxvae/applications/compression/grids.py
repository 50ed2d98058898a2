"""Parameters on grids, so that two programs whose floats differ in the last digits code with the same numbers.

A network's output is rounded to a grid before it becomes a probability. A float near the edge between two points of the
grid may be rounded to either. So grids come in 64 positions, each moved by a 64th of a step, and a block of numbers is
coded with the first one that has no edge near any of them. Its index is coded too: some bits for many numbers.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from jaxvae.errors import UserError

NUM_POSITIONS = 64
TOLERANCE = 2.0**-18  # relative to 1 + |v|: how far apart floats of two programs may be, four times what was seen
MOST_LATENT = 32.0  # on each side of 0
MOST_SDS = 6  # that a draw of q is away from its mean
_NEAR = 1.0  # numbers of a block that are near an edge, on average
_MOST_PLACES = 2**20  # of a block
_MOST_LOGIT = 12.0  # rarer values than exp(-12) are coded as if they were not
_STEP, _STRETCH = 0.125, 4.0  # of the grid of logits at 0, and from where its cells are e times as wide
_LOG_SD_STEP = 0.125
_LEAST_SD, _MOST_SD = 0.3, 1.25  # in cells: that inside of one; in units of N(0, 1)
_MOST_MEAN = 24.0
_STEPS_PER_SD = 8  # of the grid of means
_PROBABILITY_STEPS = 2.0**28
_EXACT = 2.0**20  # steps of what an exponential gives: its last digits are not the same everywhere
_MAP_STEP = 2.0**-8  # of logarithms of scales, and of shifts


Found = TypeVar("Found")


class Gaussians(NamedTuple):
    """Gaussians of latents, in cells."""

    mean: np.ndarray  # [n] float64
    sd: np.ndarray  # [n] float64
    most: int  # cells on each side of 0


class Affine(NamedTuple):
    """Maps of latents: y = scale e + shift, e = (y - shift) inverse."""

    scale: np.ndarray  # float64
    inverse: np.ndarray
    shift: np.ndarray


def shift(positions: Any) -> Any:
    """Return how far the grids of some positions are moved, in steps: no limit of a range is on an edge of any."""
    return (2.0 * positions + 1.0) / (2 * NUM_POSITIONS)


def probabilities(logits: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return probabilities of one on a grid of logits, float64.

    Its cells are an eighth wide at 0 and wider by exp(|v| / 4) elsewhere, where a difference of logits means less: they
    cost about 0.05 % of the bits.

    Args:
      logits: float32, any shape.
      positions: of the grid, whole numbers that broadcast to it.

    Raises:
      UserError: if a logit is NaN.
    """
    table, zero = _probability_table()
    return table[positions, np.floor(_in_steps(logits)[0] + shift(positions)).astype(np.int64) + zero]


def free_positions(logits: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Return for every block of logits the first position of the grid that has no edge near any of them.

    Args:
      logits: float32, [num, E].
      blocks: 0 to K - 1, of which each logit is in one, [E].

    Returns:
      Positions, [num, K].

    Raises:
      NoPosition: if there is none for a block.
      UserError: if a logit is NaN.
    """
    is_near, position = edges(logits)
    row, number = np.nonzero(is_near)
    taken = np.zeros((len(logits), int(blocks.max()) + 1, NUM_POSITIONS), bool)
    taken[row, blocks[number], position[row, number]] = True
    if taken.all(axis=-1).any():
        raise _too_many()
    found: np.ndarray = (~taken).argmax(axis=-1)
    return found


def edges(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return whether a logit is near an edge at any position of the grid, and at which: one, as they are far apart.

    Args:
      logits: float32, any shape.
    """
    moved, tolerance = _in_steps(logits)
    place = (-moved % 1.0) * NUM_POSITIONS - 0.5  # where an edge is at the logit itself
    nearest = np.rint(place)
    is_near = np.abs(place - nearest) < tolerance * NUM_POSITIONS
    return is_near, nearest.astype(np.int64) % NUM_POSITIONS


def gaussians(mean: np.ndarray, log_sd: np.ndarray, positions: np.ndarray, cell: float) -> tuple[Gaussians, np.ndarray]:
    """Return Gaussians of latents on grids of means and of logarithms of standard deviations.

    A mean is rounded to an eighth of the standard deviation, which costs 0.0007 nats at most.

    Args:
      mean: float32, any shape, in units of N(0, 1).
      log_sd: the same.
      positions: of the grids, whole numbers that broadcast to it.
      cell: width of the cells of the latents.

    Returns:
      The Gaussians in a row, and whether a number of each is near an edge.
    """
    least, most = np.log(_LEAST_SD * cell), np.log(_MOST_SD)
    clipped = np.clip(log_sd.astype(np.float64), least, most)
    scale, near = _rounded(clipped, _LOG_SD_STEP, positions, np.abs(log_sd))
    near &= (log_sd > least - 1.0) & (log_sd < most + 1.0)
    sd = np.rint(np.exp(scale) / cell * _EXACT) / _EXACT
    step = np.exp2(np.floor(np.log2(sd))) / _STEPS_PER_SD
    in_cells = np.clip(mean.astype(np.float64), -_MOST_MEAN, _MOST_MEAN) / cell
    means, near_mean = _rounded(in_cells, step, positions, np.abs(mean), cell)
    return Gaussians(means.ravel(), sd.ravel(), int(MOST_LATENT / cell)), near | near_mean


def affine_maps(log_scale: np.ndarray, shift_by: np.ndarray) -> Affine:
    """Return maps of latents on a grid of logarithms of scales and of shifts.

    Args:
      log_scale: float64, any shape: of 64 bits, so that its rounding is the same everywhere.
      shift_by: the same.
    """
    logs, shifts = (np.rint(one / _MAP_STEP) * _MAP_STEP for one in (log_scale, shift_by))
    scale, inverse = (np.rint(np.exp(one) * _EXACT) / _EXACT for one in (logs, -logs))
    return Affine(scale, inverse, shifts)


class NoPosition(UserError):
    """A block of numbers has no position of the grid without an edge near one of them."""


def block_size(num: int, near: float, divisor: int = 1) -> int:
    """Return how many places have a position of the grid in common, so that it is often one of the first.

    Args:
      num: of places of an image.
      near: numbers of an image that are near an edge, on average.
      divisor: by how much a block is to be smaller than that.
    """
    places = np.clip(num * _NEAR / max(near, _NEAR * num / _MOST_PLACES), 1, _MOST_PLACES)
    return max(1, int(places) // divisor)


def until_free(attempt: Callable[[int], Found]) -> Found:
    """Return what an attempt gives that divides the sizes of blocks by a number: by 1, or by 2, 4, ... until it can.

    Args:
      attempt: it raises `NoPosition` where a block has none.
    """
    for halvings in range(_MOST_PLACES.bit_length() - 1):
        try:
            return attempt(2**halvings)
        except NoPosition:
            continue
    return attempt(_MOST_PLACES)


def choose_positions(
    is_near: Callable[[np.ndarray, np.ndarray], np.ndarray], num: int, blocks: np.ndarray
) -> np.ndarray:
    """Return for every block of numbers the first position of the grid that has no edge near any of them.

    Args:
      is_near: (rows [n], positions [n, E]) -> whether an edge is near each of the E numbers of some rows, [n, E].
      num: of rows.
      blocks: 0 to K - 1, of which each number is in one, [E].

    Returns:
      Positions, [num, K].

    Raises:
      NoPosition: if there is none for a block.
      UserError: if there is none for a number by itself.
    """
    positions = np.zeros((num, int(blocks.max()) + 1), np.int64)
    left = np.arange(num)
    for _ in range(NUM_POSITIONS):
        row, number = np.nonzero(is_near(left, positions[left][:, blocks]))
        found = np.zeros((len(left), positions.shape[1]), bool)
        found[row, blocks[number]] = True
        positions[left] += found
        left = left[found.any(axis=1)]
        if not len(left):
            return positions
    everywhere = [is_near(left, np.full((len(left), len(blocks)), position)) for position in range(NUM_POSITIONS)]
    raise UserError(str(_too_many())) if np.all(everywhere, axis=0).any() else _too_many()


# ---------- private


def _too_many() -> NoPosition:
    return NoPosition("The model's numbers are too many for their rounding: these images cannot be coded with it.")


def _in_steps(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits in steps of the grid, from where rounding down is to the nearest, and how near to an edge is too near."""
    if np.isnan(logits).any():
        raise UserError("The model's probabilities of these images are no numbers: it cannot code them.")
    clipped = np.clip(logits.astype(np.float64), -_MOST_LOGIT, _MOST_LOGIT)
    narrowed = np.exp(-np.abs(clipped) / _STRETCH)
    tolerance = np.where(np.abs(logits) < _MOST_LOGIT + 1.0, TOLERANCE * (1.0 + np.abs(clipped)) * narrowed, 0.0)
    return np.copysign(_STRETCH * (1.0 - narrowed), clipped) / _STEP + 0.5, tolerance / _STEP


def _rounded(
    values: np.ndarray,
    step: Any,
    positions: np.ndarray,
    size: np.ndarray,
    unit: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Values on a grid, and whether an edge is near; `size` is theirs in a unit, of which the tolerance is a part."""
    moved = values.astype(np.float64) / step + shift(positions) + 0.5
    distance = np.abs(moved - np.rint(moved)) * step
    near = distance < TOLERANCE * (1.0 + size) / unit
    return (np.floor(moved) - shift(positions)) * step, near


@functools.cache
def _probability_table() -> tuple[np.ndarray, int]:
    """Probabilities of the points of the grid at every position, [NUM_POSITIONS, ...], and the index of point 0."""
    most = int(_STRETCH * (1.0 - np.exp(-_MOST_LOGIT / _STRETCH)) / _STEP) + 1
    points = (np.arange(-most, most + 1) - shift(np.arange(NUM_POSITIONS))[:, None]) * _STEP
    logits = np.copysign(_STRETCH * np.log1p(-np.abs(points) / _STRETCH), points)
    return np.rint(_PROBABILITY_STEPS / (1.0 + np.exp(-logits))) / _PROBABILITY_STEPS, most
