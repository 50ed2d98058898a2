"""Tokens of images as bits with probabilities: one place after another, by the decoder that draws them."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.applications.compression.pixels import BATCH, NUMBERS, OnGrid, Pop, pop_numbers
from jaxvae.applications.compression.values import along, at, bit_logits, num_bits, to_bits
from jaxvae.codable import TokenSteps
from jaxvae.types import Array, ModelState, Params

CACHE_BYTES = 2**28  # of all images that go through the networks at a time

Choose = Callable[[list[np.ndarray], int], np.ndarray]  # (logits of the bits of a number, first stage) -> numbers [B]


class SteppedTokens(NamedTuple):
    """Tokens given something and those before them: stages of one bit an image, by places, channels and bits.

    Whoever codes and whoever decodes takes the same steps, by the same programs.
    """

    steps: TokenSteps
    batch: int

    @property
    def num_values(self) -> int:
        return self.steps.num_values

    @property
    def shape(self) -> tuple[int, ...]:
        return self.steps.shape

    @property
    def pixels(self) -> np.ndarray:
        height, width, channels = self.shape
        return np.repeat(np.arange(height * width), channels * num_bits(self.num_values))[:, None]

    def bits(self, values: np.ndarray) -> np.ndarray:
        of_places = np.moveaxis(to_bits(values, self.num_values), (0, 1), (-2, -1))  # [H, W, C, R, B]
        return of_places.reshape(-1, len(values), 1)

    def logits(self, given: Any, values: np.ndarray) -> np.ndarray:
        numbers = values.astype(np.int32).reshape(len(values), -1)
        found = []

        def known(tree: list[np.ndarray], stage: int) -> np.ndarray:
            chosen = numbers[:, stage // len(tree)]
            found.append(along(tree, chosen))
            return chosen

        self._walk(given, len(values), known)
        return np.concatenate(found)[..., None]

    def pop(self, given: Any, num: int, on_grid: OnGrid, pop: Pop) -> np.ndarray:
        size = len(jax.tree.leaves(given[-1])[0])

        def taken(tree: list[np.ndarray], stage: int) -> np.ndarray:
            logits_of = lambda bit, prefix: at(tree[bit], prefix[:, 0])[:, None]  # noqa: E731
            return pop_numbers(logits_of, len(tree), np.zeros((size, 1), np.int32), num, stage, on_grid, pop)[:, 0]

        return self._walk(given, size, taken)[:num]

    def _walk(self, given: Any, size: int, choose: Choose) -> np.ndarray:
        """Take all steps, with numbers that are chosen one by one, and return these."""
        params, model_state, _ = given
        height, width, channels = self.shape
        numbers = np.zeros((size, *self.shape), np.int32)
        depth, stage = num_bits(self.num_values), 0
        cache = _start(self.steps, *given)
        for i in map(np.int32, range(height)):
            cache = _start_row(self.steps, params, model_state, cache, i)
            for j in map(np.int32, range(width)):
                of_token, cache = _read(self.steps, params, model_state, cache, i, j)
                for channel in range(channels):
                    tree = _bits_of_channel(self.steps, channel, of_token, numbers[:, i, j])
                    numbers[:, i, j, channel] = choose(list(map(np.asarray, tree)), stage)
                    stage += depth
                cache = _write(self.steps, params, model_state, cache, numbers[:, i, j], i, j)
        return numbers


def stepped_tokens(steps: TokenSteps, params: Params, model_state: ModelState, given: Any) -> SteppedTokens:
    """Return the coder of tokens, of as many images at a time as there is room for.

    Args:
      steps: of a decoder.
      params: of its model.
      model_state: its state.
      given: what is given for one image.
    """
    cache = jax.eval_shape(steps.start, params, model_state, given)
    size = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(cache))
    bits = math.prod(steps.shape) * num_bits(steps.num_values)
    return SteppedTokens(steps, max(1, min(BATCH, CACHE_BYTES // size, NUMBERS // bits)))


# ---------- private


@functools.partial(jax.jit, static_argnums=0)
def _start(steps: TokenSteps, params: Params, model_state: ModelState, given: Any) -> Any:
    return steps.start(params, model_state, given)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=3)
def _start_row(steps: TokenSteps, params: Params, model_state: ModelState, cache: Any, i: Array) -> Any:
    return steps.start_row(params, model_state, cache, i)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=3)
def _read(steps: TokenSteps, params: Params, model_state: ModelState, cache: Any, i: Array, j: Array) -> Any:
    return steps.read(params, model_state, cache, i, j)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=3)
def _write(
    steps: TokenSteps, params: Params, model_state: ModelState, cache: Any, numbers: Array, i: Array, j: Array
) -> Any:
    return steps.write(params, model_state, cache, numbers, i, j)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _bits_of_channel(steps: TokenSteps, channel: int, of_token: Any, numbers: Array) -> tuple[Array, ...]:
    return bit_logits(steps.log_pmf(of_token, numbers, channel))
