"""Pixels as bits with probabilities: in stages of bits that can be coded at once, each given the stages before."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from jaxvae.applications.compression.grids import NUM_POSITIONS, edges, free_positions, probabilities
from jaxvae.applications.compression.values import at, bit_logits, mass_logits, num_bits, to_bits
from jaxvae.likelihoods.pixels import count_values
from jaxvae.types import Array, Likelihood

BATCH, NUMBERS = 256, 2**24  # images at a time, and numbers that their pixels are made of
FEW = 32  # of these for a channel of a pixel whose probabilities are made one by one

Pop = Callable[[np.ndarray], np.ndarray]  # probabilities [n] -> bits [n], taken from a coder
LogitsOf = Callable[[int, np.ndarray], np.ndarray]  # (bit, number of those before it [B, n]) -> logits [B, n]
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
    positions: np.ndarray  # of the grid for every block of pixels, [K]


class IndependentPixels(NamedTuple):
    """Pixels that are independent given something, and the channels of one given each other."""

    likelihood: Likelihood
    shape: tuple[int, ...]
    parameters: Callable[..., Any]  # (*given) -> those of the likelihood, leaves [B, ...]

    @property
    def batch(self) -> int:
        height, width, channels = self.shape
        # All log-probabilities of a channel, or some numbers for each of all channels.
        numbers = self.num_values if self.likelihood.channel_log_mass is None else FEW * channels
        return max(1, min(BATCH, NUMBERS // (height * width * numbers)))

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
        of_x, depth = _parameters(self.parameters, given), num_bits(self.num_values)
        found = []
        for channel in range(self.shape[-1]):
            logits_of, known = self._logits_of(of_x, channel, values), values[..., channel].astype(np.int32)
            found += [logits_of(bit, known.reshape(len(values), -1) >> (depth - bit)) for bit in range(depth)]
        return np.stack(found)

    def pop(self, given: Any, num: int, on_grid: OnGrid, pop: Pop) -> np.ndarray:
        of_x, depth = _parameters(self.parameters, given), num_bits(self.num_values)
        values = np.zeros((len(jax.tree.leaves(of_x)[0]), *self.shape), np.int32)
        for channel in range(self.shape[-1]):
            logits_of = self._logits_of(of_x, channel, values)
            prefix = np.zeros((len(values), math.prod(self.shape[:2])), np.int32)
            found = pop_numbers(logits_of, depth, prefix, num, channel * depth, on_grid, pop)
            values[..., channel] = found.reshape(len(values), *self.shape[:2])
        return values[:num].astype(np.uint8)

    def _logits_of(self, of_x: Any, channel: int, values: np.ndarray) -> LogitsOf:
        """The logits of the bits of a channel given the values of those before it."""
        if self.likelihood.channel_log_mass is not None:
            before = values.astype(np.int32)

            def by_mass(bit: int, prefix: np.ndarray) -> np.ndarray:
                of_image = prefix.reshape(len(values), *self.shape[:2])
                which = self.likelihood, channel, self.num_values
                found = _bit_by_mass(*which, np.int32(bit), of_x, before, of_image)
                return np.asarray(found).reshape(prefix.shape)

            return by_mass
        tree = _bits_of_channel(self.likelihood, channel, of_x, values)
        flat = [np.asarray(leaf).reshape(len(values), math.prod(self.shape[:2]), -1) for leaf in tree]
        return lambda bit, prefix: at(flat[bit], prefix)


def pop_numbers(
    logits_of: LogitsOf, depth: int, prefix: np.ndarray, num: int, stage: int, on_grid: OnGrid, pop: Pop
) -> np.ndarray:
    """Return numbers that are taken bit by bit, the highest first.

    Args:
      logits_of: of every bit given those before it.
      depth: bits of a number.
      prefix: zeros, [B, n] int32, in whose shape the numbers are returned.
      num: of images, the first ones, whose numbers are taken; those of the others are 0.
      stage: of the first bit.
      on_grid: probabilities of the logits of a stage.
      pop: bits of probabilities.
    """
    for bit in range(depth):
        p = on_grid(logits_of(bit, prefix)[:num], stage + bit)
        prefix = 2 * prefix
        prefix[:num] += pop(p.ravel()).reshape(p.shape)
    return prefix


def code_pixels(coder: PixelCoder, logits: np.ndarray, values: np.ndarray, block: int) -> CodedPixels:
    """Return the bits of images with their probabilities on grids.

    Args:
      coder: whose bits they are.
      logits: of the bits, [T, B, n].
      values: of the images, [B, H, W, C].
      block: pixels that have a position of the grid in common, of one image after another in raster order.
    """
    blocks = _blocks(coder, len(values), block)
    positions = free_positions(logits.swapaxes(0, 1).reshape(1, -1), blocks.ravel())[0]
    p = probabilities(logits, positions[blocks].swapaxes(0, 1))
    return CodedPixels(coder.bits(values).ravel(), p.ravel(), positions)


def num_blocks(coder: PixelCoder, num: int, block: int) -> int:
    """Return K, how many positions the pixels of some images have."""
    return -(-num * num_places(coder) // block)


def num_places(coder: PixelCoder) -> int:
    """Return how many pixels an image has."""
    return int(coder.pixels.max()) + 1


def near_pixels(logits: np.ndarray) -> float:
    """Return how many bits of an image are near an edge of a grid, on average over images and positions of the grid."""
    return float(edges(logits)[0].sum() / (logits.shape[1] * NUM_POSITIONS))


def pop_pixels(coder: PixelCoder, given: Any, num: int, positions: np.ndarray, block: int, pop: Pop) -> np.ndarray:
    """Return the first images of a batch, with the positions [K] of `code_pixels`."""
    of_bits = positions[_blocks(coder, num, block)]
    return coder.pop(given, num, lambda logits, stage: probabilities(logits, of_bits[:, stage]), pop)


# ---------- private


def _blocks(coder: PixelCoder, num: int, block: int) -> np.ndarray:
    """The block of every bit of some images, [num, T, n]."""
    return (num_places(coder) * np.arange(num)[:, None, None] + coder.pixels) // block


@functools.partial(jax.jit, static_argnums=0)
def _parameters(parameters: Callable[..., Any], given: Any) -> Any:
    return parameters(*given)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _bits_of_channel(likelihood: Likelihood, channel: int, of_x: Any, values: Array) -> tuple[Array, ...]:
    log_pmf: Any = likelihood.channel_log_pmf
    return bit_logits(jax.vmap(log_pmf, in_axes=(0, 0, None))(of_x, values, channel))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _bit_by_mass(
    likelihood: Likelihood, channel: int, num_values: int, bit: Array, of_x: Any, values: Array, prefix: Array
) -> Array:
    of_channel: Any = likelihood.channel_log_mass

    def of_image(of_x: Any, values: Array, prefix: Array) -> Array:
        return mass_logits(functools.partial(of_channel, of_x, values, channel), prefix, bit, num_values)

    return jax.vmap(of_image)(of_x, values, prefix)
