"""Bits back: images coded with a sample of their latents, whose bits come back (Townsend, Bird & Barber 2019).

To code an image, latents are popped from the stack of an ANS coder as if q(z | x) had written them, the image is pushed
with p(x | z), and the latents with p(z). What that adds is -log p(x, z) + log q(z | x), on average the negative ELBO.
Decoding pops with p and pushes the latents back with q, which leaves the stack as it was.

Departs from the paper. Latents are cells of an even width, of which a Gaussian of q and one of p take the mass. All
images are on one stack, in batches: a batch takes the bits of its latents from those of the batches before, so the
first one is small and each may be larger by what the stack has grown. What the first ones take are pseudo-random words,
and those that were taken are counted as initial bits.

References:
  Townsend, Bird & Barber, "Practical lossless compression with latent variables using bits back coding", 2019,
    arXiv:1901.04866.
  Kingma, Abbeel & Ho, "Bit-Swap", 2019, arXiv:1905.06845: the order of several groups of latents.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.applications.compression import flow_prior
from jaxvae.applications.compression.batches import GROWTH_STEPS, LatentBatch, batch_sizes
from jaxvae.applications.compression.coder import Stream
from jaxvae.applications.compression.entropy import SHARES, Stack, share_of
from jaxvae.applications.compression.grids import (
    MOST_LATENT,
    Gaussians,
    block_size,
    choose_positions,
    gaussians,
    until_free,
)
from jaxvae.applications.compression.pixels import (
    PixelCoder,
    code_pixels,
    near_pixels,
    num_blocks,
    num_places,
    pop_pixels,
)
from jaxvae.codable import AffineLayers, ChainStep, HasLatentChain
from jaxvae.errors import UserError
from jaxvae.progress import progress_bar
from jaxvae.training import program_batch_size
from jaxvae.types import ModelState, Params

CAUTION = 0.85  # of that ratio, as images differ: what is missing is paid for
IMAGES_OF_FIRST = 2_000  # for each of the first batch, whose latents are paid for
TRIAL = 64  # images that the settings are found by
MOST_BITS = 24  # of a cell of a latent
SETTINGS = ("first", "growth", "latent_block", "latent_share", "pixel_block", "pixel_share")
KEPT = ("latent_share", "pixel_share")  # of these: in 256ths
CELL = 2.0**-7  # width of the cells of latents of N(0, 1)


class BitsBack(NamedTuple):
    """Codes images of a model with groups of Gaussian latents.

    Attributes:
      chain: the latents.
      pixels: given these.
      params: of the model.
      model_state: its state.
    """

    chain: HasLatentChain
    pixels: PixelCoder
    params: Params
    model_state: ModelState

    def encode(self, values: np.ndarray) -> Stream:
        """Return the words of images, values [N, H, W, C]."""
        return until_free(lambda divisor: self._encode(values, divisor))

    def _encode(self, values: np.ndarray, divisor: int) -> Stream:
        settings = self._settings(values, divisor)
        stack, start = Stack.random(self._most_words), 0
        with progress_bar(total=len(values), unit="image", desc="compress") as bar:
            for num in batch_sizes(len(values), settings, self.pixels.batch):
                self._push(stack, values[start : start + num], settings)
                start += num
                bar.update(num)
        words, initial_bits = stack.words()
        return Stream(words, settings, initial_bits)

    def decode(self, stream: Stream, num: int) -> np.ndarray:
        """Return the images of words.

        Args:
          stream: as `encode` gave it.
          num: N, of images.

        Returns:
          Values [N, H, W, C] uint8.

        Raises:
          UserError: if the words are not of this model and so many images.
        """
        settings = stream.settings
        if set(settings) != set(SETTINGS) or min(settings.values()) < 1 or any(settings[one] >= SHARES for one in KEPT):
            raise UserError("The settings of the words are none of bits back: they are damaged.")
        stack, found = Stack(stream.words), []
        sizes = list(batch_sizes(num, stream.settings, self.pixels.batch))
        with progress_bar(total=num, unit="image", desc="decompress") as bar:
            for of_batch in reversed(sizes):
                found.append(self._pop(stack, of_batch, stream.settings))
                bar.update(of_batch)
        if not stack.is_as_it_began():
            raise UserError("The words are not of so many images under this model: they are damaged, or of another.")
        return np.concatenate(found[::-1])

    def bits_of_each(self, values: np.ndarray) -> np.ndarray:
        """Return the bits that each image adds to the stack, where it is coded by itself: [N], some below 0."""
        return until_free(lambda divisor: self._bits_of_each(values, divisor))

    def _bits_of_each(self, values: np.ndarray, divisor: int) -> np.ndarray:
        settings, stack = self._settings(values, divisor), Stack.random(self._most_words)
        found = np.zeros(len(values))
        for i in range(len(values)):
            before = stack.num_bits
            self._push(stack, values[i : i + 1], settings)
            found[i] = stack.num_bits - before
        return found

    # ---------- private

    @property
    def _most_words(self) -> int:
        """More words than the latents of a batch take."""
        return self.pixels.batch * sum(self.chain.sizes) * MOST_BITS // 32 + 64

    def _settings(self, values: np.ndarray, divisor: int) -> dict[str, int]:
        """The numbers that hold for all batches, found by a trial with a few images."""
        trial, num_latents = values[: min(TRIAL, self.pixels.batch)], sum(self.chain.sizes)
        settings = dict.fromkeys(SETTINGS, SHARES - 1)
        near_latents, near_bits = self._near(trial)
        settings["latent_block"] = min(num_latents, block_size(num_latents, near_latents, divisor))
        settings["pixel_block"] = block_size(num_places(self.pixels), near_bits, divisor)
        stack = Stack.random(self._most_words)
        begun, positions = stack.num_bits, self._push(stack, trial, settings)
        steps = self.chain.steps
        for share in KEPT:
            of_kind = [moved for step, moved in zip(steps, positions, strict=True) if _share(step) == share]
            settings[share] = share_of(np.concatenate([*of_kind, np.zeros((0, 0), np.int64)], axis=None))
        grown = CAUTION * (stack.num_bits - begun) / max(1, begun - stack.lowest)
        settings["growth"] = int(np.clip(GROWTH_STEPS * grown, 1, 255))
        settings["first"] = max(1, len(values) // IMAGES_OF_FIRST)
        return settings

    def _near(self, values: np.ndarray) -> tuple[float, float]:
        """How many latents, and how many bits, of an image are near an edge of the grid, on average."""
        batch, stack, of_latents = self._batch(values), Stack.random(self._most_words), 0.0
        for step in self.chain.steps:
            if step.kind == "pixels":
                return of_latents, near_pixels(self._logits(batch))
            mean, log_sd = self._parameters(step, batch)
            on_grid, near = gaussians(mean, log_sd, np.zeros(1, np.int64), self._cell)
            of_latents += float(near.sum() / len(near))
            batch = batch.with_cells(step.group, stack.draw_cells(on_grid), self._cell)
        raise AssertionError("a chain has pixels")

    def _push(self, stack: Stack, values: np.ndarray, settings: Mapping[str, int]) -> list[np.ndarray]:
        """Put some images on the stack, and return the positions of the grids of every step."""
        batch, positions = self._batch(values), []
        for step in self.chain.steps:
            if step.kind == "pixels":
                coded = code_pixels(self.pixels, self._logits(batch), values, settings["pixel_block"])
                stack.push_bits(coded.bits, coded.probabilities)
                positions.append(coded.positions)
                continue
            if step.flow is not None:
                cells = batch.cells(step.group, self._cell).reshape(batch.num, -1)
                self._flow(step.flow).push(stack, cells, batch.size)
                positions.append(np.zeros((batch.num, 0), np.int64))
                continue
            on_grid, moved = self._on_grid(step, batch, settings["latent_block"])
            positions.append(moved)
            if step.kind == "infer":
                batch = batch.with_cells(step.group, stack.draw_cells(on_grid), self._cell)
            else:
                stack.push_cells(batch.cells(step.group, self._cell), on_grid)
        for step, moved in zip(self.chain.steps, positions, strict=True):
            stack.push_positions(moved.ravel(), settings[_share(step)])
        return positions

    def _pop(self, stack: Stack, num: int, settings: Mapping[str, int]) -> np.ndarray:
        """Take some images from the stack: `_push` backwards."""
        steps = self.chain.steps[::-1]
        positions = [self._pop_positions(stack, step, num, settings) for step in steps]
        batch = self._batch(np.zeros((num, *self.pixels.shape), np.uint8))
        for step, moved in zip(steps, positions, strict=True):
            if step.kind == "pixels":
                given, block = self._given(batch), settings["pixel_block"]
                values = pop_pixels(self.pixels, given, num, moved.ravel(), block, stack.pop_bits)
                batch = batch.with_values(values)
                continue
            if step.flow is not None:
                cells = self._flow(step.flow).pop(stack, num, self.chain.sizes[step.group], batch.size)
                batch = batch.with_cells(step.group, cells, self._cell)
                continue
            on_grid = self._on_grid(step, batch, settings["latent_block"], moved)[0]
            if step.kind == "infer":
                stack.return_cells(batch.cells(step.group, self._cell), on_grid)
            else:
                batch = batch.with_cells(step.group, stack.pop_cells(on_grid), self._cell)
        return batch.values[:num]

    def _pop_positions(self, stack: Stack, step: ChainStep, num: int, settings: Mapping[str, int]) -> np.ndarray:
        """The positions of the grids of one step, [num, K] of latents and [1, K] of the pixels of all images."""
        rows, blocks, size = num, 0, self.chain.sizes[step.group]
        if step.kind == "pixels":
            rows, blocks = 1, num_blocks(self.pixels, num, settings["pixel_block"])
        elif step.gaussian is not None:
            blocks = -(-size // settings["latent_block"])
        return stack.pop_positions(rows * blocks, settings[_share(step)]).reshape(rows, blocks)

    @property
    def _cell(self) -> float:
        """Width of the cells of latents: layers of a flow need narrower ones."""
        return CELL if all(step.flow is None for step in self.chain.steps) else flow_prior.CELL

    def _flow(self, layers: AffineLayers) -> flow_prior.FlowCoder:
        return flow_prior.FlowCoder(layers, self.params, self.model_state)

    def _batch(self, values: np.ndarray) -> LatentBatch:
        size = program_batch_size(len(values), self.pixels.batch)
        padded = np.zeros((size, *values.shape[1:]), values.dtype)
        padded[: len(values)] = values
        latents = tuple(np.zeros((size, dim), np.float32) for dim in self.chain.sizes)
        return LatentBatch(len(values), padded, latents)

    def _given(self, batch: LatentBatch) -> tuple[Any, ...]:
        return self.params, self.model_state, batch.latents

    def _logits(self, batch: LatentBatch) -> np.ndarray:
        return self.pixels.logits(self._given(batch), batch.values)[:, : batch.num]

    def _parameters(self, step: ChainStep, batch: LatentBatch) -> tuple[np.ndarray, np.ndarray]:
        """Means and logarithms of standard deviations of a step's Gaussians, [B, D] float32."""
        x = (batch.values / np.float32(self.pixels.num_values - 1)).astype(np.float32)
        found = _gaussian(step.gaussian, self.params, self.model_state, x, batch.latents)
        mean, log_var = (np.asarray(leaf)[: batch.num] for leaf in found)
        if not (np.isfinite(mean).all() and np.isfinite(log_var).all()):
            raise UserError("The model's latents of these images are no finite numbers: it cannot code them.")
        return mean, np.float32(0.5) * log_var

    def _on_grid(
        self, step: ChainStep, batch: LatentBatch, block: int, positions: np.ndarray | None = None
    ) -> tuple[Gaussians, np.ndarray]:
        """The Gaussians of a step on a grid, and its positions, which are chosen if not given; none of N(0, I)."""
        if step.gaussian is None:
            num = batch.num * self.chain.sizes[step.group]
            standard = Gaussians(np.zeros(num), np.full(num, 1.0 / self._cell), int(MOST_LATENT / self._cell))
            return standard, np.zeros((batch.num, 0), np.int64)
        mean, log_sd = self._parameters(step, batch)
        blocks = np.arange(mean.shape[1]) // block
        if positions is None:
            is_near = lambda rows, moved: gaussians(mean[rows], log_sd[rows], moved, self._cell)[1]  # noqa: E731
            positions = choose_positions(is_near, len(mean), blocks)
        return gaussians(mean, log_sd, positions[:, blocks], self._cell)[0], positions


# ---------- private


def _share(step: ChainStep) -> str:
    return "pixel_share" if step.kind == "pixels" else "latent_share"


@functools.partial(jax.jit, static_argnums=0)
def _gaussian(gaussian: Callable[..., Any], params: Params, model_state: ModelState, x: Any, latents: Any) -> Any:
    return gaussian(params, model_state, x, latents)
