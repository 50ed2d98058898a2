"""Latents of a RealNVP prior, coded in its base space, where they are N(0, I) (Ho, Lohn & Abbeel 2019).

A layer scales and moves some dimensions by amounts that depend on the others. A latent y in cells of one width becomes
e = (y - t) / s in cells of another one: e is popped as a draw around that number, and y is pushed as a draw around
s e + t, which leaves the logarithm of s, as a change of variables has it. At the end e is pushed with N(0, 1). Scales
and shifts that are the same for every image only change the width of the cells.

Departs from the paper: s and t are rounded to a grid, which is another flow, nearly the same one, without any error of
its inverse.

References:
  Ho, Lohn & Abbeel, "Compression with Flows via Local Bits-Back Coding", 2019, arXiv:1905.08500, sec. 3.4.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.applications.compression.entropy import Stack
from jaxvae.applications.compression.grids import MOST_LATENT, Affine, Gaussians, affine_maps, choose_positions
from jaxvae.capabilities import AffineLayers
from jaxvae.types import ModelState, Params

CELL = 2.0**-9  # width of the cells of latents
SPREAD = 1.0  # standard deviation of a draw around a number, in cells, at least
MOST = int(MOST_LATENT / CELL)
_MOST_MEAN = 0.75 * MOST
_EXACT = 2.0**20  # steps of a constant


class FlowPrior(NamedTuple):
    """Codes latents of a flow from N(0, I).

    Attributes:
      layers: of the flow.
      params: of the model.
      model_state: its state.
    """

    layers: AffineLayers
    params: Params
    model_state: ModelState

    def push(self, stack: Stack, cells: np.ndarray, size: int, block: int) -> np.ndarray:
        """Push latents.

        Args:
          stack: to push to.
          cells: of the latents, [B, D].
          size: rows of the compiled program, at least B.
          block: dimensions that have a position of the grid in common.

        Returns:
          Positions of the grids of all layers, [B, K].
        """
        units = self._units(cells.shape[1])
        positions = []
        for layer in reversed(range(self.layers.num_layers)):
            of_layer = _Layer(self, layer, units[layer], cells[:, : cells.shape[1] // 2], size)
            numbers = of_layer.numbers()
            blocks = np.arange(numbers[0].shape[1]) // block
            near = lambda rows, moved, numbers=numbers: affine_maps(*(n[rows] for n in numbers), moved)[1]  # noqa: E731
            chosen = choose_positions(near, len(cells), blocks)
            positions.append(chosen)
            moved = of_layer.couple(stack, cells[:, cells.shape[1] // 2 :], chosen[:, blocks])
            cells = np.concatenate([of_layer.kept, moved], axis=1)[:, ::-1]
        stack.push_cells(cells.ravel(), units[0].base(len(cells)))
        return np.concatenate(positions[::-1], axis=1)

    def pop(self, stack: Stack, num: int, dim: int, size: int, block: int, positions: np.ndarray) -> np.ndarray:
        """Pop what `push` pushed, [num, D], with its positions."""
        units = self._units(dim)
        cells = stack.pop_cells(units[0].base(num)).reshape(num, dim)
        blocks = np.arange(dim - dim // 2) // block
        for layer, chosen in enumerate(np.split(positions, self.layers.num_layers, axis=1)):
            cells = cells[:, ::-1]
            of_layer = _Layer(self, layer, units[layer], cells[:, : dim // 2], size)
            moved = of_layer.uncouple(stack, cells[:, dim // 2 :], chosen[:, blocks])
            cells = np.concatenate([of_layer.kept, moved], axis=1)
        return cells

    def num_positions(self, dim: int, block: int) -> int:
        """Return K, the positions of latents of D dimensions."""
        return self.layers.num_layers * -(-(dim - dim // 2) // block)

    def _units(self, dim: int) -> list["_Units"]:
        """Widths and centres of the cells at every layer, of what its coupling is given and makes."""
        log_scale, shift = (
            np.asarray(leaf, np.float64) for leaf in self.layers.constants(self.params, self.model_state)
        )
        inverse = np.rint(np.exp(-log_scale) * _EXACT) / _EXACT
        given, found = _Cells(np.full(dim, CELL), np.zeros(dim)), []
        for layer in reversed(range(self.layers.num_layers)):
            kept, moved = given.split()
            # What is coded anew has the width that its constants bring to that of the latents.
            below = _Cells(CELL / inverse[layer][: dim - dim // 2][::-1], np.zeros(dim - dim // 2))
            found.append(_Units(kept, moved, below, _joined(kept, below), inverse[layer], shift[layer]))
            given = found[-1].of_base
        return found[::-1]


# ---------- private


class _Cells(NamedTuple):
    """Where cells are: that of number c is c * width + centre."""

    width: np.ndarray  # [D]
    centre: np.ndarray  # [D]

    def values(self, cells: np.ndarray) -> np.ndarray:
        return cells * self.width + self.centre

    def split(self) -> tuple["_Cells", "_Cells"]:
        half = len(self.width) // 2
        return _Cells(self.width[:half], self.centre[:half]), _Cells(self.width[half:], self.centre[half:])


class _Units(NamedTuple):
    """The cells of a layer: before its coupling, and after it."""

    kept: _Cells
    moved: _Cells  # of z
    below: _Cells  # of what the coupling is given
    both: _Cells
    inverse_scale: np.ndarray
    shift: np.ndarray

    @property
    def of_base(self) -> _Cells:
        """The cells of what the constants are given."""
        width, centre = self.both.width[::-1], self.both.centre[::-1]
        return _Cells(width * self.inverse_scale, (centre - self.shift) * self.inverse_scale)

    def base(self, num: int) -> Gaussians:
        """N(0, 1) in these cells, for each of some latents."""
        width, centre = self.of_base
        return Gaussians(np.tile(-centre / width, num), np.tile(1.0 / width, num), MOST)


class _Layer(NamedTuple):
    """The coupling of a layer for some latents."""

    prior: FlowPrior
    layer: int
    units: _Units
    kept: np.ndarray  # cells, [B, D // 2]
    size: int

    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """Logarithms of scales, and shifts, as the network gives them, [B, D - D // 2]."""
        given = np.zeros((self.size, self.kept.shape[1]), np.float32)
        given[: len(self.kept)] = self.units.kept.values(self.kept)
        of_layer = self.prior.layers.conditioner
        found = _conditioned(of_layer, self.prior.params, self.prior.model_state, np.int32(self.layer), given)
        return tuple(np.asarray(leaf)[: len(self.kept)] for leaf in found)  # type: ignore[return-value]

    def couple(self, stack: Stack, cells: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Pop the cells of e, and push those of y."""
        maps, _ = affine_maps(*self.numbers(), positions)
        drawn = stack.draw_cells(self._around_e(cells, maps)).reshape(cells.shape)
        stack.push_near_cells(cells.ravel(), self._around_y(drawn, maps))
        return drawn

    def uncouple(self, stack: Stack, cells: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Pop the cells of y, and push those of e."""
        maps, _ = affine_maps(*self.numbers(), positions)
        found = stack.pop_near_cells(self._around_y(cells, maps)).reshape(cells.shape)
        stack.return_cells(cells.ravel(), self._around_e(found, maps))
        return found

    def _around_e(self, cells: np.ndarray, maps: Affine) -> Gaussians:
        y, below = self.units.moved.values(cells), self.units.below
        mean = np.clip((y - maps.shift) * maps.inverse / below.width, -_MOST_MEAN, _MOST_MEAN)
        return Gaussians(mean.ravel(), self._spread(maps).ravel(), MOST)

    def _around_y(self, cells: np.ndarray, maps: Affine) -> Gaussians:
        y, moved = self.units.below.values(cells) * maps.scale + maps.shift, self.units.moved
        spread = self._spread(maps) * maps.scale * self.units.below.width / moved.width
        return Gaussians(((y - moved.centre) / moved.width).ravel(), spread.ravel(), MOST)

    def _spread(self, maps: Affine) -> np.ndarray:
        """Standard deviation of the cells of e: a power of two that is `SPREAD` or more in those of y too."""
        cells_of_y = self.units.below.width * maps.scale / self.units.moved.width
        return np.exp2(np.frexp(SPREAD * np.maximum(1.0, 1.0 / cells_of_y))[1].astype(np.float64))


def _joined(first: _Cells, second: _Cells) -> _Cells:
    return _Cells(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))


@functools.partial(jax.jit, static_argnums=0)
def _conditioned(
    conditioner: Callable[..., Any], params: Params, model_state: ModelState, layer: Any, given: Any
) -> Any:
    return conditioner(params, model_state, layer, given)
