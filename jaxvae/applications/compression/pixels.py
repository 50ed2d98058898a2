"""Pixels as bits with probabilities: in stages of bits that can be coded at once, each given the stages before."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from jaxvae.applications.compression.grids import choose_positions, probabilities
from jaxvae.applications.compression.values import along, at, bit_logits, num_bits, to_bits
from jaxvae.likelihoods.pixels import count_values
from jaxvae.types import Array, Likelihood

BATCH, NUMBERS = 256, 2**24  # images at a time, and log-probabilities of pixel values

Pop = Callable[[np.ndarray], np.ndarray]  # probabilities [n] -> bits [n], taken from a coder
OnGrid = Callable[[np.ndarray, int], np.ndarray]  # (logits [B, n], stage) -> their probabilities on the grid


class PixelCoder(Protocol):
    """Pixels of images given what a decoder is given: their bits in T stages of n bits an image."""

    @property
    def batch(self) -> int:
        """Images that go through the networks at a time, at most."""

    @property
    def num_values(self) -> int:
        """V that a pixel takes."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an image, (H, W, C)."""

    @property
    def pixels(self) -> np.ndarray:
        """The pixel that each bit is of, [T, n]."""

    def bits(self, values: np.ndarray) -> np.ndarray:
        """Return the bits of images, values [B, H, W, C] -> int32 [T, B, n]."""

    def logits(self, given: Any, values: np.ndarray) -> np.ndarray:
        """Return the logits of the bits of images, values [B, H, W, C] -> [T, B, n]."""

    def pop(self, given: Any, num: int, on_grid: OnGrid, pop: Pop) -> np.ndarray:
        """Return the first images of a batch, [num, H, W, C], by bits that are taken stage by stage."""


class CodedPixels(NamedTuple):
    """Bits of images as an entropy coder takes them."""

    bits: np.ndarray  # [T * B * n] int32
    probabilities: np.ndarray  # of ones, [T * B * n]
    positions: np.ndarray  # of the grid for every block of pixels, [B, K]


class IndependentPixels(NamedTuple):
    """Pixels that are independent given something, and the channels of one given each other."""

    likelihood: Likelihood
    shape: tuple[int, ...]
    parameters: Callable[..., Any]  # (*given) -> those of the likelihood, leaves [B, ...]

    @property
    def batch(self) -> int:
        return max(1, min(BATCH, NUMBERS // (self.pixels.size * self.num_values)))

    @property
    def num_values(self) -> int:
        return count_values(self.likelihood, self.shape)

    @property
    def pixels(self) -> np.ndarray:
        height, width, channels = self.shape
        return np.broadcast_to(np.arange(height * width), (channels * num_bits(self.num_values), height * width))

    def bits(self, values: np.ndarray) -> np.ndarray:
        of_channels = np.moveaxis(to_bits(values, self.num_values), -1, 0)  # [C, R, B, H, W]
        return of_channels.reshape(len(self.pixels), len(values), -1)

    def logits(self, given: Any, values: np.ndarray) -> np.ndarray:
        of_x = _parameters(self.parameters, given)
        found = []
        for channel in range(self.shape[-1]):
            tree = _bits_of_channel(self.likelihood, channel, of_x, values)
            flat = along(_flat(tree, len(values)), values[..., channel].reshape(len(values), -1))
            found.append(flat)
        return np.concatenate(found)

    def pop(self, given: Any, num: int, on_grid: OnGrid, pop: Pop) -> np.ndarray:
        of_x = _parameters(self.parameters, given)
        size = len(jax.tree.leaves(of_x)[0])
        values = np.zeros((size, *self.shape), np.int32)
        stage = 0
        for channel in range(self.shape[-1]):
            tree = _flat(_bits_of_channel(self.likelihood, channel, of_x, values), size)
            numbers = pop_numbers(tree, num, stage, on_grid, pop)
            values[:num, ..., channel] = numbers.reshape(num, *self.shape[:2])
            stage += len(tree)
        return values[:num].astype(np.uint8)


def pop_numbers(tree: Sequence[np.ndarray], num: int, stage: int, on_grid: OnGrid, pop: Pop) -> np.ndarray:
    """Return numbers that are taken bit by bit, the highest first.

    Args:
      tree: logits of every bit given those before it, for bit r [B, n, 2^r].
      num: of images, the first ones.
      stage: of the first bit.
      on_grid: probabilities of the logits of a stage.
      pop: bits of probabilities.

    Returns:
      [num, n].
    """
    prefix = np.zeros((num, tree[0].shape[1]), np.int64)
    for r, of_bit in enumerate(tree):
        p = on_grid(at(of_bit[:num], prefix), stage + r)
        prefix = 2 * prefix + pop(p.ravel()).reshape(p.shape)
    return prefix


def code_pixels(coder: PixelCoder, logits: np.ndarray, values: np.ndarray, block: int) -> CodedPixels:
    """Return the bits of images with their probabilities on grids.

    Args:
      coder: whose bits they are.
      logits: of the bits, [T, B, n].
      values: of the images, [B, H, W, C].
      block: pixels of an image, in raster order, that have a position of the grid in common.
    """
    blocks, (num_stages, num, width) = coder.pixels // block, logits.shape

    def on_grid(rows: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return probabilities(logits[:, rows], positions.reshape(len(rows), num_stages, width).swapaxes(0, 1))

    def is_near(rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
        return on_grid(rows, positions)[1].swapaxes(0, 1).reshape(len(rows), -1)

    positions = choose_positions(is_near, num, blocks.ravel())
    p, _ = on_grid(np.arange(num), positions[:, blocks.ravel()])
    return CodedPixels(coder.bits(values).ravel(), p.ravel(), positions)


def near_pixels(coder: PixelCoder, logits: np.ndarray) -> float:
    """Return how many bits of an image are near an edge of the grid, on average over images."""
    near = probabilities(logits, np.zeros(1, np.int64))[1]
    return float(near.sum() / logits.shape[1])


def pop_pixels(coder: PixelCoder, given: Any, positions: np.ndarray, block: int, pop: Pop) -> np.ndarray:
    """Return the first images of a batch, as many as there are positions [num, K] of `code_pixels`."""
    blocks = coder.pixels // block
    of_logits = lambda logits, stage: probabilities(logits, positions[:, blocks[stage]])[0]  # noqa: E731
    return coder.pop(given, len(positions), of_logits, pop)


# ---------- private


@functools.partial(jax.jit, static_argnums=0)
def _parameters(parameters: Callable[..., Any], given: Any) -> Any:
    return parameters(*given)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _bits_of_channel(likelihood: Likelihood, channel: int, of_x: Any, values: Array) -> tuple[Array, ...]:
    log_pmf: Any = likelihood.channel_log_pmf
    return bit_logits(jax.vmap(log_pmf, in_axes=(0, 0, None))(of_x, values, channel))


def _flat(tree: tuple[Array, ...], num: int) -> list[np.ndarray]:
    """Logits of bits, [B, H W, 2^r]."""
    return [np.asarray(leaf).reshape(num, math.prod(leaf.shape[1:-1]), -1) for leaf in tree]
