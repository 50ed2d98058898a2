"""Images coded token by token under exact probabilities, each given those before it.

The tokens are the pixels of an autoregressive model, or the codes of a VQ-VAE under their prior; behind codes may come
what they leave open of the pixels. Probabilities of a token are known when those before it are, so that decoding takes
the steps of drawing images, many of them at a time; coding takes the same ones.
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.applications.compression.coder import Stream
from jaxvae.applications.compression.doubles import in_double
from jaxvae.applications.compression.entropy import SHARES, Reader, Writer, share_of
from jaxvae.applications.compression.grids import block_size, until_free
from jaxvae.applications.compression.pixels import (
    IndependentPixels,
    PixelCoder,
    code_pixels,
    near_pixels,
    num_blocks,
    num_places,
    pop_pixels,
)
from jaxvae.applications.compression.tokens import stepped_tokens
from jaxvae.codable import HasTokens
from jaxvae.errors import UserError
from jaxvae.progress import progress_bar
from jaxvae.training import program_batch_size
from jaxvae.types import Array, ModelState, Params

SETTINGS = ("token_block", "token_share", "pixel_block", "pixel_share")  # the last two of pixels behind codes


class AutoregressiveCoding(NamedTuple):
    """Codes images by grids of tokens.

    Attributes:
      tokens: of the model.
      coders: of every grid, and of the pixels given all grids, if there are such ones.
      params: of the model.
      model_state: its state.
      with_rest: whether the pixels are coded behind the tokens.
    """

    tokens: HasTokens
    coders: tuple[PixelCoder, ...]
    params: Params
    model_state: ModelState
    with_rest: bool

    def encode(self, values: np.ndarray) -> Stream:
        """Return the words of images, values [N, H, W, C]."""
        return until_free(lambda divisor: self._encode(values, divisor))

    def _encode(self, values: np.ndarray, divisor: int) -> Stream:
        writer, size, settings = Writer(), self._size(len(values)), dict[str, int]()
        with progress_bar(total=len(values), unit="image", desc="compress") as bar:
            for start in range(0, len(values), size):
                some = values[start : start + size]
                classes = self._classes(some, size)
                if self.tokens.num_classes > 1:
                    writer.push_numbers(classes[: len(some)], self._even)
                parts = list(self._parts(some, classes, size))
                settings = settings or _settings(parts, divisor)
                for part in parts:
                    coded = code_pixels(part.coder, part.logits, part.values, settings[f"{part.kind}_block"])
                    writer.push_positions(coded.positions.ravel(), settings[f"{part.kind}_share"])
                    writer.push_bits(coded.bits, coded.probabilities)
                bar.update(len(values[start : start + size]))
        return Stream(writer.words(), settings, 0)

    def decode(self, stream: Stream, num: int) -> np.ndarray:
        """Return the images of words, or what the tokens say of them if nothing else was coded.

        Args:
          stream: as `encode` gave it, with or without the pixels.
          num: N, of images.

        Returns:
          Values [N, H, W, C] uint8.

        Raises:
          UserError: if the words are not of this model and so many images.
        """
        self._check(stream.settings)
        reader, size, found = Reader(stream.words), self._size(num), []
        with progress_bar(total=num, unit="image", desc="decompress") as bar:
            for start in range(0, num, size):
                found.append(self._pop(reader, min(size, num - start), size, stream.settings))
                bar.update(len(found[-1]))
        if not reader.is_at_end():
            raise UserError("The words are not of so many images under this model: they are damaged, or of another.")
        return np.concatenate(found)

    def bits_of_each(self, values: np.ndarray) -> np.ndarray:
        """Return the bits of each image, [N], without those of the positions of grids."""
        return until_free(lambda divisor: self._bits_of_each(values, divisor))

    # ---------- private

    def _bits_of_each(self, values: np.ndarray, divisor: int) -> np.ndarray:
        size, found = self._size(len(values)), []
        for start in range(0, len(values), size):
            some = values[start : start + size]
            parts = list(self._parts(some, self._classes(some, size), size))
            settings = _settings(parts, divisor)
            total = np.full(len(some), math.log2(max(1, self.tokens.num_classes)))
            for part in parts:
                coded = code_pixels(part.coder, part.logits, part.values, settings[f"{part.kind}_block"])
                of_bit = -np.log2(np.where(coded.bits == 1, coded.probabilities, 1.0 - coded.probabilities))
                total += of_bit.reshape(part.logits.shape).sum(axis=(0, 2))
            found.append(total)
        return np.concatenate(found)

    def _size(self, num: int) -> int:
        """Images that go through the networks at a time, the same for all batches."""
        return program_batch_size(num, min(coder.batch for coder in self.coders))

    def _check(self, settings: Mapping[str, int]) -> None:
        allowed = [SETTINGS[:2]] if self.tokens.lossless else [SETTINGS[:2], SETTINGS]
        shares = [value for name, value in settings.items() if name.endswith("share")]
        if set(settings) not in map(set, allowed) or min(settings.values()) < 1 or max(shares) >= SHARES:
            raise UserError("The settings of the words are none of tokens: they are damaged.")
        if len(settings) > 2 and len(self.coders) == len(self.tokens.grids):
            raise UserError("The words have pixels behind the codes, of which this model has no probabilities.")

    @property
    def _even(self) -> np.ndarray:
        """Masses of the classes: an image's is coded before it."""
        return np.full(self.tokens.num_classes, 1.0 / self.tokens.num_classes)

    def _classes(self, values: np.ndarray, size: int) -> np.ndarray:
        """The classes under which images are most likely, [size] int32; zeros of a model that knows none."""
        if not self.tokens.num_classes:
            return np.zeros(size, np.int32)
        x = (_padded(values, size) / np.float32(self.tokens.num_values - 1)).astype(np.float32)
        return np.asarray(_most_likely(self.tokens, self.params, self.model_state, x)[0])

    def _parts(self, values: np.ndarray, classes: np.ndarray, size: int) -> Iterator["_Part"]:
        """What is coded of some images, in this order."""
        num = len(values)
        x = (_padded(values, size) / np.float32(self.tokens.num_values - 1)).astype(np.float32)
        encoded = map(np.asarray, _encode(self.tokens.encode, self.params, self.model_state, x))
        numbers = [_padded(of_grid[:num], size) for of_grid in encoded]
        each = [*numbers, _padded(values, size)] if self.with_rest else numbers
        for level, (coder, known) in enumerate(zip(self.coders, each, strict=False)):
            logits = coder.logits(self._given(numbers, level, classes), known)[:, :num]
            yield _Part(coder, self._kind(level), known[:num], logits)

    def _pop(self, reader: Reader, num: int, size: int, settings: Mapping[str, int]) -> np.ndarray:
        numbers: list[np.ndarray] = []
        classes = np.zeros(size, np.int32)
        if self.tokens.num_classes > 1:
            classes[:num] = reader.pop_numbers(num, self._even)
        for level, coder in enumerate(self.coders):
            if f"{self._kind(level)}_block" not in settings:
                break
            block, share = (settings[f"{self._kind(level)}_{name}"] for name in ("block", "share"))
            positions = reader.pop_positions(num_blocks(coder, num, block), share)
            found = pop_pixels(coder, self._given(numbers, level, classes), num, positions, block, reader.pop_bits)
            if self._kind(level) == "pixel":
                return found
            numbers.append(_padded(found, size))
        x = in_double(self.tokens.decode, self.params, self.model_state, tuple(numbers))[:num]
        return np.rint(np.clip(x, 0.0, 1.0) * (self.tokens.num_values - 1)).astype(np.uint8)

    def _kind(self, level: int) -> str:
        return "token" if level < len(self.tokens.grids) else "pixel"

    def _given(self, numbers: list[np.ndarray], level: int, classes: np.ndarray) -> tuple[Any, ...]:
        if self._kind(level) == "pixel":
            return self.params, self.model_state, tuple(numbers)
        return self.params, self.model_state, numbers[level - 1] if level else classes


def autoregressive_coding(
    tokens: HasTokens, shape: tuple[int, ...], params: Params, model_state: ModelState, *, with_rest: bool
) -> AutoregressiveCoding:
    """Return what codes images by tokens.

    Args:
      tokens: of the model.
      shape: of an image, (H, W, C).
      params: of the model.
      model_state: its state.
      with_rest: whether what tokens leave open of the pixels is coded too.
    """
    given: Any = np.zeros(1, np.int32)
    coders: list[PixelCoder] = []
    for steps in tokens.grids:
        coders.append(stepped_tokens(steps, params, model_state, given))
        given = np.zeros((1, *steps.shape), np.int32)
    if tokens.rest is not None:
        coders.append(IndependentPixels(tokens.rest.likelihood, shape, tokens.rest.parameters))
    return AutoregressiveCoding(tokens, tuple(coders), params, model_state, with_rest)


def most_likely_classes(tokens: HasTokens, params: Params, model_state: ModelState, x: Array) -> tuple[Array, Array]:
    """Return the class under which each image is most likely, and log p of its tokens and of that class, 1 / K.

    Args:
      tokens: of the model; of one that knows no classes these are zeros.
      params: of the model.
      model_state: its state.
      x: prepared images, [B, H, W, C].

    Returns:
      [B] int32 and [B] nats.
    """
    numbers, num = tokens.encode(params, model_state, x), max(1, tokens.num_classes)
    of_class = lambda label: tokens.log_prob(params, model_state, jnp.full(len(x), label), numbers)  # noqa: E731
    each = jax.lax.map(of_class, jnp.arange(num))
    return jnp.argmax(each, axis=0).astype(jnp.int32), jnp.max(each, axis=0) - math.log(num)


# ---------- private


class _Part(NamedTuple):
    """What is coded of some images at once."""

    coder: PixelCoder
    kind: str  # "token" or "pixel"
    values: np.ndarray  # [B, ...]
    logits: np.ndarray  # [T, B, n]


def _settings(parts: list[_Part], divisor: int) -> dict[str, int]:
    """The numbers that hold for all batches, found by the first one."""
    settings: dict[str, int] = {}
    for kind in dict.fromkeys(part.kind for part in parts):
        of_kind = [part for part in parts if part.kind == kind]
        places = sum(num_places(part.coder) for part in of_kind)
        near = sum(near_pixels(part.logits) for part in of_kind)
        block = settings[f"{kind}_block"] = block_size(places, near, divisor)
        positions = [code_pixels(part.coder, part.logits, part.values, block).positions for part in of_kind]
        settings[f"{kind}_share"] = share_of(np.concatenate(positions, axis=None))
    return settings


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    padded = np.zeros((size, *values.shape[1:]), values.dtype)
    padded[: len(values)] = values
    return padded


@functools.partial(jax.jit, static_argnums=0)
def _encode(encode: Callable[..., Any], params: Params, model_state: ModelState, given: Any) -> Any:
    return encode(params, model_state, given)


@functools.partial(jax.jit, static_argnums=0)
def _most_likely(tokens: HasTokens, params: Params, model_state: ModelState, x: Array) -> tuple[Array, Array]:
    return most_likely_classes(tokens, params, model_state, x)
