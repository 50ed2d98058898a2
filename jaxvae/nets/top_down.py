"""Groups of latents and the networks round a top-down hierarchy: maps of images, and images of a map.

A group of latents is a map of vectors, one a place. Maps have the sizes that an image has when it is halved again and
again, rounded up: 28, 14, 7, 4, 2, 1. Groups of one size follow each other on one map.
"""

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
from flax.typing import Dtype

from jaxvae.errors import UserError, whole_number
from jaxvae.nets.conv import Conv
from jaxvae.nets.image import Double, Size, halved_sizes
from jaxvae.nets.resnet import ResidualBlock
from jaxvae.types import Array

MOST_GROUPS = 100


class Group(NamedTuple):
    """A group of latents."""

    size: int  # of its map, pixels of the shorter side
    channels: int  # of the map that it is read from and added to
    latents: int  # for each place of the map


class Stage(NamedTuple):
    """A size of maps between the image and the smallest one."""

    size: Size
    channels: int
    num_groups: int  # of that size; 0 of a size that is passed through


class BottomUp(nn.Module):
    """Maps of images, one for each size that has groups: [..., H, W, C] -> [..., h, w, channels], the smallest first.

    Every halving is a 4x4 convolution of stride 2, and as many residual blocks follow as there are groups.

    Parameters: `conv_<stage>`, `block_<stage>_<number>`, the largest map first.

    Attributes:
      groups: of latents, the top one first.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
      remat: whether gradients compute the inside of every block anew: memory saved on GPU and TPU, none on the CPU.
    """

    groups: Sequence[Group]
    dtype: Dtype | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, ...]:
        h, maps, block = x, [], nn.remat(ResidualBlock) if self.remat else ResidualBlock
        for i, stage in enumerate(stages_of(self.groups, x.shape[-3:])):
            same = stage.size == h.shape[-3:-1]
            kernel, strides = ((3, 3), (1, 1)) if same else ((4, 4), (2, 2))
            h = Conv(stage.channels, kernel, strides, dtype=self.dtype, name=f"conv_{i}")(h)
            for j in range(stage.num_groups):
                h = block(dtype=self.dtype, name=f"block_{i}_{j}")(h)
            if stage.num_groups:
                maps.append(h)
        return tuple(reversed(maps))


class Enlarge(nn.Module):
    """A map of half of the image from a smaller one: [..., h, w, C] -> [..., ceil(H / 2), ceil(W / 2), C].

    Doublings, each with a residual block; a map that is large enough stays as it is. `ImageDecoder` doubles the last
    one.

    Parameters: `double_<number>`, `block_<number>`.

    Attributes:
      image_shape: (H, W, ...) of the images to be decoded.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
      remat: as of `BottomUp`.
    """

    image_shape: Sequence[int]
    dtype: Dtype | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, h: Array) -> Array:
        block = nn.remat(ResidualBlock) if self.remat else ResidualBlock
        sizes = map_sizes(self.image_shape)
        place = sizes.index((h.shape[-3], h.shape[-2]))
        for i, size in enumerate(reversed(sizes[1:place])):
            h = Double(h.shape[-1], size, dtype=self.dtype, name=f"double_{i}")(h)
            h = block(dtype=self.dtype, name=f"block_{i}")(h)
        return h


def map_sizes(image_shape: Sequence[int]) -> list[Size]:
    """Return the sizes that the maps of an image may have: its own, and halved ones until a side has one pixel.

    Args:
      image_shape: (H, W, ...).
    """
    return halved_sizes(image_shape, max(0, (min(image_shape[:2]) - 1).bit_length()))


def group_sizes(groups: Sequence[Group], image_shape: Sequence[int]) -> list[Size]:
    """Return the size of the map of every group.

    Args:
      groups: the top one, of the smallest map, first.
      image_shape: (H, W, ...).

    Returns:
      (h, w) of each.

    Raises:
      UserError: if there is no group, or too many, one has no latents or no channels, or a map that an image of this
        size has not, or their sizes fall, or groups of one size differ in their channels.
    """
    if not 1 <= len(groups) <= MOST_GROUPS:
        raise UserError(f"There are {len(groups)} groups of latents, expected 1 to {MOST_GROUPS}.")
    of_side = {min(size): size for size in reversed(map_sizes(image_shape))}
    sides = ", ".join(map(str, of_side))
    for i, group in enumerate(groups, start=1):
        for name, value in zip(Group._fields, group, strict=True):
            whole_number(f"{name} of group {i}", value)
        if group.size not in of_side:
            larger = "larger than the image" if group.size > min(image_shape[:2]) else "none of its halvings"
            raise UserError(
                f"Group {i} has maps of {group.size} pixels a side, {larger}: an image of {image_shape[0]}x"
                f"{image_shape[1]} has maps of {sides}."
            )
    for i, (one, two) in enumerate(zip(groups, groups[1:], strict=False), start=1):
        if one.size > two.size:
            raise UserError(
                f"Group {i} has maps of {one.size} pixels a side and group {i + 1} of {two.size}: expected sizes that "
                "do not fall, the smallest first."
            )
        if one.size == two.size and one.channels != two.channels:
            raise UserError(
                f"Groups {i} and {i + 1} share maps of {one.size} pixels a side, but have {one.channels} and "
                f"{two.channels} channels: expected the same."
            )
    return [of_side[group.size] for group in groups]


def stages_of(groups: Sequence[Group], image_shape: Sequence[int]) -> list[Stage]:
    """Return the sizes from the image down to the smallest map; one without groups has the channels of the next larger.

    Args:
      groups: the top one first.
      image_shape: (H, W, ...).

    Raises:
      UserError: as `group_sizes`.
    """
    sizes = group_sizes(groups, image_shape)
    possible = map_sizes(image_shape)
    first = 0 if sizes[-1] == possible[0] else 1
    stages, channels = [], groups[-1].channels
    for size in possible[first : possible.index(sizes[0]) + 1]:
        here = [group for group, of_group in zip(groups, sizes, strict=True) if of_group == size]
        channels = here[0].channels if here else channels
        stages.append(Stage(size, channels, len(here)))
    return stages
