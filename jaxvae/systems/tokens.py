"""Tokens: the units that an autoregressive model predicts one by one: pixels, blocks of pixels or codes."""

from dataclasses import dataclass

import jax.numpy as jnp

from jaxvae.data import from_blocks, to_blocks
from jaxvae.errors import UserError
from jaxvae.types import Array, DataSpec


@dataclass(frozen=True)
class Tokens:
    """Pixels or codes as they are.

    Attributes:
      shape: of the tokens of an example, (H, W, C) of pixels and (h, w) of codes.
      num_codes: values that a token takes; 0 of pixels, which are numbers.
    """

    shape: tuple[int, ...]
    num_codes: int

    def encode(self, x: Array) -> Array:
        """Return the tokens [B, *shape] of examples."""
        return x

    def decode(self, tokens: Array) -> Array:
        """Return the examples of tokens [B, *shape]."""
        return tokens


@dataclass(frozen=True)
class BlockTokens(Tokens):
    """Blocks of binary pixels as codes.

    Attributes:
      size: side of a block in pixels.
      channels: of the images.
    """

    size: int
    channels: int

    def encode(self, x: Array) -> Array:
        """Return the codes [B, h, w] of images [B, H, W, C]."""
        return to_blocks(x, self.size)

    def decode(self, tokens: Array) -> Array:
        """Return the images [B, H, W, C] of codes [B, h, w]."""
        return from_blocks(tokens, self.size, self.channels)

    def agreeing(self, x: Array, known: Array) -> Array:
        """Return which codes have the known pixels of images, x [B, H, W, C], known [B, H, W] -> [B, h, w, K]."""
        every = from_blocks(jnp.arange(self.num_codes).reshape(-1, 1, 1), self.size, self.channels)  # [K, s, s, C]
        blocks = lambda x: x.reshape(len(x), self.shape[0], self.size, self.shape[1], self.size, -1, 1)  # noqa: E731
        same = blocks(x) == jnp.moveaxis(every, 0, -1)[None, None, :, None]
        return jnp.all(same | ~blocks(known), axis=(2, 4, 5))


def pixel_tokens(spec: DataSpec) -> Tokens:
    """Return the pixels themselves, in [0, 1]."""
    return Tokens(spec.shape, 0)


def block_tokens(spec: DataSpec, size: int) -> BlockTokens:
    """Return the blocks of size x size pixels of binary images as codes.

    Raises:
      UserError: if blocks do not divide the images.
    """
    height, width, channels = spec.shape
    if height % size or width % size:
        raise UserError(
            f"Blocks of {size}x{size} pixels do not divide images of {height}x{width}: choose a block of 1."
        )
    return BlockTokens((height // size, width // size), 2 ** (size * size * channels), size, channels)


def classes_in_turn(num: int, num_classes: int) -> Array:
    """Return the classes 0, 1, ..., 0, 1, ... of some samples, [num]; zeros where there are none."""
    return jnp.arange(num) % max(1, num_classes)


def code_tokens(shape: tuple[int, ...], num_codes: int) -> Tokens:
    """Return grids of codes, which are tokens as they are."""
    return Tokens(shape, num_codes)
