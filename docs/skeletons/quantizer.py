"""A quantizer to copy to `jaxvae/quantizers/`: channels become -1 or 1, the bits of the code."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jaxvae.errors import check_values
from jaxvae.quantizers.straight_through import commitment, straight_through
from jaxvae.quantizers.usage import QuantizerOutput, batch_stats, check_map, code_counts, finite_rows
from jaxvae.types import Array, StepKeys


class SignQuantizer(nn.Module):
    """The signs of D channels are a code of D bits.

    Attributes:
      dim: D, channels of the map.
      commitment_weight: of the mean square of z - z_q.
    """

    dim: int
    commitment_weight: float = 0.25

    @property
    def num_codes(self) -> int:
        """K = 2^D."""
        return 2**self.dim

    def __call__(
        self, z: Array, keys: StepKeys | None, *, train: bool, axis_name: str | None = None
    ) -> QuantizerOutput:
        """Quantise a map.

        Args:
          z: [B, h, w, D].
          keys: unused; of quantizers that draw.
          train: whether the statistics are of all replicas.
          axis_name: mapped axis of replicas.

        Returns:
          z_q [B, h, w, D], codes [B, h, w], penalty [B], statistics.
        """
        del keys
        check_map("SignQuantizer", z, self.dim)
        axis = axis_name if train and not self.is_initializing() else None
        signs = jnp.where(z > 0, 1.0, -1.0)
        codes = jnp.sum((z > 0) * self._weights(z.ndim), axis=-1, dtype=jnp.int32)
        counts = code_counts(codes.ravel(), self.num_codes, finite_rows(z).ravel(), axis)
        penalty = self.commitment_weight * commitment(z, signs)
        # The decoder sees the signs, the gradient goes through to z.
        return QuantizerOutput(straight_through(z, signs), codes, penalty, batch_stats(counts, z, signs, axis))

    def lookup(self, codes: Array) -> Array:
        """Return z_q of codes, [...] -> [..., D]."""
        check_values("codes", codes, self.num_codes)
        return 2.0 * (codes[..., None] // self._weights(codes.ndim + 1) % 2).astype(jnp.float32) - 1.0

    def code_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Return the shape of the codes of a map of a size (h, w)."""
        return size

    def _weights(self, ndim: int) -> Array:
        """Of the bits, for arrays of `ndim` axes: ranks are never promoted."""
        return jnp.asarray(2 ** np.arange(self.dim), jnp.int32).reshape((1,) * (ndim - 1) + (-1,))
