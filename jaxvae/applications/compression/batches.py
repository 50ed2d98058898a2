"""Images that bits back codes at a time: how many, and with their latents.

A batch takes the bits of its latents from those before.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

GROWTH_STEPS = 32  # in which the ratio of a batch to all images before it is kept


class LatentBatch(NamedTuple):
    """Images and latents in the shapes of a compiled program, of which the first `num` are some."""

    num: int
    values: np.ndarray
    latents: tuple[np.ndarray, ...]  # of every group, [B, D_l] float32

    @property
    def size(self) -> int:
        """Rows of the program."""
        return len(self.values)

    def cells(self, group: int, cell: float) -> np.ndarray:
        """The cells of a group of latents, flat."""
        return np.rint(self.latents[group][: self.num] / cell).astype(np.int64).ravel()

    def with_cells(self, group: int, cells: np.ndarray, cell: float) -> "LatentBatch":
        """Return the batch with other latents of a group, by their cells."""
        latents = [one.copy() for one in self.latents]
        latents[group][: self.num] = (cells * np.float32(cell)).reshape(self.num, -1)
        return self._replace(latents=tuple(latents))

    def with_values(self, values: np.ndarray) -> "LatentBatch":
        """Return the batch with other images."""
        padded = self.values.copy()
        padded[: self.num] = values
        return self._replace(values=padded)


def batch_sizes(num: int, settings: Mapping[str, int], most: int) -> Iterator[int]:
    """Yield how many images are coded at a time, `num` in all.

    Args:
      num: of images.
      settings: how many the first ones are, and by how much of all before it a batch may be larger.
      most: of a batch.
    """
    done = 0
    while done < num:
        size = min(max(settings["first"], done * settings["growth"] // GROWTH_STEPS), most, num - done)
        yield size
        done += size
