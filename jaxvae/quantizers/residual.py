"""Several codes a position: of what the codes before left over, or of a part of the channels each."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxvae.errors import check_shape, check_values
from jaxvae.quantizers.usage import QuantizerOutput, batch_stats, check_map
from jaxvae.quantizers.vq import THROUGH, VectorQuantizer
from jaxvae.types import Array, PRNGKey, StepKeys

_LIFTED: dict[str, Any] = {"variable_axes": {"params": 0, "codebook": 0}, "split_rngs": {"params": True}}


class ResidualQuantizer(nn.Module):
    """A stack of quantizers, each of what those before left over: z_q is the sum of the codes.

      r_1 = z,    r_{g+1} = r_g - e_g(r_g),    z_q = sum_g e_g(r_g)

    The penalty is the sum of theirs; the gradient passes from the sum of the codes to z in the way of the quantizer.
    Parameters and codebooks are those of `quantizer`, with a leading axis [G].

    Attributes:
      quantizer: one of them: without `code_dim`, whose maps would be learned from the gradient that the sum has past,
        and without `cosine`, which forgets the length of what is left over.
      num_levels: G.

    References:
      Zeghidour et al., "SoundStream: An End-to-End Neural Audio Codec", 2021, arXiv:2107.03312, sec. III-C.
      Lee et al., "Autoregressive Image Generation using Residual Quantization", 2022, arXiv:2203.01941, sec. 3.1.
      Departs from it in the codebooks, one a level as in SoundStream.
    """

    quantizer: VectorQuantizer
    num_levels: int

    @property
    def num_codes(self) -> int:
        """K of each of the G codes."""
        return self.quantizer.num_codes

    def setup(self) -> None:
        _check_number("num_levels", self.num_levels)
        if self.quantizer.code_dim is not None or self.quantizer.cosine:
            raise ValueError("ResidualQuantizer has a quantizer with code_dim or cosine, expected one without them.")

    def __call__(
        self, z: Array, keys: StepKeys | None, *, train: bool, axis_name: str | None = None
    ) -> QuantizerOutput:
        """Quantise a map.

        Args:
          z: [B, h, w, D].
          keys: those of the step, of which restarts need `shared`; None in evaluation.
          train: whether the codes learn.
          axis_name: mapped axis of replicas that learn together; unused in evaluation and initialisation.

        Returns:
          z_q [B, h, w, D], codes [B, h, w, G], penalty [B], statistics of each level; the error is that of the last.

        Raises:
          ValueError: as `VectorQuantizer` does.
        """
        check_map("ResidualQuantizer", z, self.quantizer.dim)
        z = z.astype(jnp.float32)

        def level(quantizer: VectorQuantizer, left: Array, shared: PRNGKey | None) -> tuple[Array, QuantizerOutput]:
            output = quantizer(left, _with(shared, keys), train=train, axis_name=axis_name)
            # The commitment of the next level is to reach z: through z_q, whose gradient is z's, it would vanish.
            return left - lax.stop_gradient(output.z_q), output

        scan = nn.scan(level, length=self.num_levels, **_LIFTED)
        _, each = scan(self.quantizer, z, _split(keys, self.num_levels))
        chosen = jnp.sum(each.z_q, axis=0)
        axis = axis_name if train and not self.is_initializing() else None
        stats = batch_stats(each.stats["counts"], z, chosen, axis)
        z_q = THROUGH[self.quantizer.through](z, chosen)
        return QuantizerOutput(z_q, jnp.moveaxis(each.codes, 0, -1), jnp.sum(each.penalty, axis=0), stats)

    def lookup(self, codes: Array) -> Array:
        """Return z_q of codes, [..., G] -> [..., D]; a `ValueError` names a known code that does not exist."""
        each = _lookup_each(self.quantizer, codes, self.num_levels, 0)
        return jnp.sum(each, axis=0)

    def code_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Return the shape of the codes of a map of a size (h, w)."""
        return (*size, self.num_levels)


class GroupedQuantizer(nn.Module):
    """The channels in groups of neighbours, each with a codebook of its own: K^G combinations from G K codes.

    The penalty is the mean of theirs. Parameters and codebooks are those of `quantizer`, with a leading axis [G].

    Attributes:
      quantizer: that of one group, of D / G channels.
      num_groups: G.

    References:
      Kaiser et al., "Fast Decoding in Sequence Models Using Discrete Latent Variables", 2018, arXiv:1803.03382:
      sliced quantisation.
    """

    quantizer: VectorQuantizer
    num_groups: int

    @property
    def num_codes(self) -> int:
        """K of each of the G codes."""
        return self.quantizer.num_codes

    def setup(self) -> None:
        _check_number("num_groups", self.num_groups)

    def __call__(
        self, z: Array, keys: StepKeys | None, *, train: bool, axis_name: str | None = None
    ) -> QuantizerOutput:
        """Quantise a map.

        Args:
          z: [B, h, w, D].
          keys: those of the step, of which restarts need `shared`; None in evaluation.
          train: whether the codes learn.
          axis_name: mapped axis of replicas that learn together; unused in evaluation and initialisation.

        Returns:
          z_q [B, h, w, D], codes [B, h, w, G], penalty [B], statistics of each group; the error is their mean.

        Raises:
          ValueError: as `VectorQuantizer` does.
        """
        check_map("GroupedQuantizer", z, self.quantizer.dim * self.num_groups)

        def group(quantizer: VectorQuantizer, part: Array, shared: PRNGKey | None) -> QuantizerOutput:
            return quantizer(part, _with(shared, keys), train=train, axis_name=axis_name)

        over_groups = nn.vmap(group, axis_size=self.num_groups, in_axes=(3, 0), **_LIFTED)
        parts = z.reshape(*z.shape[:3], self.num_groups, -1)
        each = over_groups(self.quantizer, parts, _split(keys, self.num_groups))
        stats = {**each.stats, "quantization_error": jnp.mean(each.stats["quantization_error"])}
        z_q = jnp.moveaxis(each.z_q, 0, 3).reshape(z.shape)
        return QuantizerOutput(z_q, jnp.moveaxis(each.codes, 0, 3), jnp.mean(each.penalty, axis=0), stats)

    def lookup(self, codes: Array) -> Array:
        """Return z_q of codes, [..., G] -> [..., D]; a `ValueError` names a known code that does not exist."""
        each = _lookup_each(self.quantizer, codes, self.num_groups, -2)
        return each.reshape(*codes.shape[:-1], -1)

    def code_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Return the shape of the codes of a map of a size (h, w)."""
        return (*size, self.num_groups)


# ---------- private


def _lookup_each(quantizer: VectorQuantizer, codes: Array, num: int, out_axes: int) -> Array:
    """What each quantizer has for its codes, [..., G] -> [..., D] with a further axis G."""
    check_shape("codes", codes, (*codes.shape[:-1], num))
    check_values("codes", codes, quantizer.num_codes)
    look_up: Callable = nn.vmap(
        lambda quantizer, codes: quantizer.lookup(codes), axis_size=num, in_axes=-1, out_axes=out_axes, **_LIFTED
    )
    return look_up(quantizer, codes)


def _split(keys: StepKeys | None, num: int) -> PRNGKey | None:
    """A shared key for each quantizer, [num]: what they restart is not to move to the same vectors."""
    return None if keys is None else jax.random.split(keys.shared, num)


def _with(shared: PRNGKey | None, keys: StepKeys | None) -> StepKeys | None:
    return None if keys is None or shared is None else keys._replace(shared=shared)


def _check_number(name: str, num: int) -> None:
    if num < 1:
        raise ValueError(f"{name} is {num}, expected at least 1.")
