"""Top-down VAEs, and the groups of latents that a size of images has by default."""

from collections.abc import Sequence
from typing import Any

from jaxvae.errors import UserError
from jaxvae.models import TopDownVAE
from jaxvae.nets import BottomUp, Enlarge, Group, ImageDecoder
from jaxvae.nets.top_down import group_sizes, map_sizes
from jaxvae.priors import standard_normal
from jaxvae.types import DataSpec, Likelihood

TOP, LARGEST = 4, 16  # sides of the top group's map and of the last ones, at most


def top_down_vae(
    spec: DataSpec,
    likelihood: Likelihood,
    groups: Sequence[Group],
    *,
    prior: Any = None,
    dtype: Any = None,
    remat: bool = False,
) -> TopDownVAE:
    """Return a top-down VAE.

    Args:
      spec: of the data.
      likelihood: of the images.
      groups: the top one first, as `make_groups` gives them.
      prior: of the top group as a vector; by default N(0, I).
      dtype: of the networks' arithmetic.
      remat: whether blocks are computed again for the gradient, which saves memory on GPU and TPU.

    Returns:
      The model.

    Raises:
      UserError: if the images have no such maps: see `jaxvae.nets.top_down.group_sizes`.
    """
    group_sizes(groups, spec.shape)
    enlarge, shapes = Enlarge(spec.shape, dtype, remat), likelihood.param_shapes(spec.shape)
    return TopDownVAE(
        groups=tuple(groups),
        encoder=BottomUp(tuple(groups), dtype, remat),
        decoder=ImageDecoder(enlarge, shapes, dtype, latent_axes=3),
        likelihood=likelihood,
        image_shape=spec.shape,
        prior=standard_normal() if prior is None else prior,
        dtype=dtype,
        remat=remat,
    )


def make_groups(
    image_shape: Sequence[int],
    sizes: Sequence[int] = (),
    channels: Sequence[int] = (),
    latents: Sequence[int] = (),
) -> tuple[Group, ...]:
    """Return groups of latents; what is not given is what a person would choose for images of this size.

    Args:
      image_shape: (H, W, ...).
      sizes: sides of the groups' maps, the smallest first; by default those of `default_sizes`.
      channels: of their maps, one number for all or one each; by default 64, and 32 of the largest maps.
      latents: for each place, one number for all or one each; by default 16 of the top group, 4 of the largest maps and
        8 of those between.

    Raises:
      UserError: if there is neither one number nor one for each group, or the images have no such maps: see
        `jaxvae.nets.top_down.group_sizes`.
    """
    sizes = tuple(sizes) or default_sizes(image_shape)
    largest = max(sizes) if len(set(sizes)) > 1 else None
    channels = _each("channels", channels, len(sizes)) or tuple(32 if size == largest else 64 for size in sizes)
    usual = (16, *(4 if size == largest else 8 for size in sizes[1:]))
    groups = tuple(map(Group, sizes, channels, _each("latents", latents, len(sizes)) or usual))
    group_sizes(groups, image_shape)
    return groups


def default_sizes(image_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the sides of the maps of the groups of latents: 4, 7, 7, 14, 14 for images of 28x28.

    One group at the first halving to at most four pixels a side, and two at each larger one up to the half of the
    image, or sixteen pixels.

    Args:
      image_shape: (H, W, ...).

    Raises:
      UserError: if the images are too small for two sizes of maps.
    """
    sides = [min(size) for size in map_sizes(image_shape)[1:] if min(size) <= LARGEST]
    if len(sides) < 2:
        raise UserError(
            f"Images of {image_shape[0]}x{image_shape[1]} pixels are too small for groups of latents on maps of two "
            "sizes: expected sides of at least 3."
        )
    num = max(2, 1 + sum(side > TOP for side in sides))
    top, *others = reversed(sides[:num])
    return (top, *(side for side in others for _ in range(2)))


# ---------- private


def _each(name: str, given: Sequence[int], num: int) -> tuple[int, ...]:
    """One number for each group; () where none is given."""
    if len(given) not in (0, 1, num):
        raise UserError(f"{name} has {len(given)} numbers for {num} groups of latents: expected one, or {num}.")
    return tuple(given) * num if len(given) == 1 else tuple(given)
