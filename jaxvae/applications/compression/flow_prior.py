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

from typing import NamedTuple

import numpy as np

from jaxvae.applications.compression.doubles import in_double
from jaxvae.applications.compression.entropy import Stack
from jaxvae.applications.compression.grids import MOST_LATENT, Affine, Gaussians, affine_maps
from jaxvae.codable import AffineLayers
from jaxvae.types import ModelState, Params

CELL = 2.0**-9  # width of the cells of latents
SPREAD = 1.0  # standard deviation of a draw around a number, in cells, at least
MOST = int(MOST_LATENT / CELL)
_MOST_MEAN = 0.75 * MOST
_EXACT = 2.0**20  # steps of a constant


class FlowCoder(NamedTuple):
    """Codes latents of a flow from N(0, I).

    Attributes:
      layers: of the flow.
      params: of the model.
      model_state: its state.
    """

    layers: AffineLayers
    params: Params
    model_state: ModelState

    def push(self, stack: Stack, cells: np.ndarray, size: int) -> None:
        """Push latents.

        Args:
          stack: to push to.
          cells: of the latents, [B, D].
          size: rows of the compiled program, at least B.
        """
        half, units = cells.shape[1] // 2, self._units(cells.shape[1])
        for layer in reversed(range(self.layers.num_layers)):
            coupling = self._coupling(layer, units[layer], cells[:, :half], size)
            cells = np.concatenate([cells[:, :half], coupling.undo(stack, cells[:, half:])], axis=1)[:, ::-1]
        stack.push_cells(cells.ravel(), units[0].base(len(cells)))

    def pop(self, stack: Stack, num: int, dim: int, size: int) -> np.ndarray:
        """Pop what `push` pushed, [num, D]."""
        half, units = dim // 2, self._units(dim)
        cells = stack.pop_cells(units[0].base(num)).reshape(num, dim)
        for layer in range(self.layers.num_layers):
            cells = cells[:, ::-1]
            coupling = self._coupling(layer, units[layer], cells[:, :half], size)
            cells = np.concatenate([cells[:, :half], coupling.apply(stack, cells[:, half:])], axis=1)
        return cells

    # ---------- private

    def _coupling(self, layer: int, units: "_Units", kept: np.ndarray, size: int) -> "_Coupling":
        """The coupling of a layer, given the cells of the dimensions that it keeps."""
        given = np.zeros((size, kept.shape[1]))
        given[: len(kept)] = units.kept.values(kept)
        # In 64 bits the layers of any program agree so far that no number is on the other side of an edge.
        found = in_double(self.layers.conditioner, self.params, self.model_state, np.int32(layer), given)
        log_scale, shift = (leaf[: len(kept)] for leaf in found)
        return _Coupling(units.moved, units.below, affine_maps(log_scale, shift))

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


class _Coupling(NamedTuple):
    """The maps of a layer's moved dimensions for some latents."""

    moved: _Cells  # of y
    below: _Cells  # of e
    maps: Affine

    def undo(self, stack: Stack, cells: np.ndarray) -> np.ndarray:
        """Pop the cells of e, and push those of y."""
        drawn = stack.draw_cells(self._around_e(cells)).reshape(cells.shape)
        stack.push_near_cells(cells.ravel(), self._around_y(drawn))
        return drawn

    def apply(self, stack: Stack, cells: np.ndarray) -> np.ndarray:
        """Pop the cells of y, and push those of e."""
        found = stack.pop_near_cells(self._around_y(cells)).reshape(cells.shape)
        stack.return_cells(cells.ravel(), self._around_e(found))
        return found

    def _around_e(self, cells: np.ndarray) -> Gaussians:
        mean = (self.moved.values(cells) - self.maps.shift) * self.maps.inverse / self.below.width
        return Gaussians(np.clip(mean, -_MOST_MEAN, _MOST_MEAN).ravel(), self._spread().ravel(), MOST)

    def _around_y(self, cells: np.ndarray) -> Gaussians:
        y, width = self.below.values(cells) * self.maps.scale + self.maps.shift, self.moved.width
        spread = self._spread() * self.maps.scale * self.below.width / width
        return Gaussians(((y - self.moved.centre) / width).ravel(), spread.ravel(), MOST)

    def _spread(self) -> np.ndarray:
        """Standard deviation of the cells of e: a power of two that is `SPREAD` or more in those of y too."""
        cells_of_y = self.below.width * self.maps.scale / self.moved.width
        return np.exp2(np.frexp(SPREAD * np.maximum(1.0, 1.0 / cells_of_y))[1].astype(np.float64))


def _joined(first: _Cells, second: _Cells) -> _Cells:
    return _Cells(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))
