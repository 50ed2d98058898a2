"""Finite scalar quantisation: every channel is rounded to a few levels, and their combination is the code."""

import math

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jaxvae.errors import check_values
from jaxvae.quantizers.straight_through import straight_through
from jaxvae.quantizers.usage import QuantizerOutput, batch_stats, check_map, code_counts, finite_rows
from jaxvae.types import Array, StepKeys

_MARGIN = 1e-3  # by which the range is narrower, so that its ends do not round outwards


def fsq_bound(z: Array, levels: tuple[int, ...]) -> Array:
    """Squash channels to ranges whose roundings are L numbers each.

      f(z) = h tanh(z + tan(o / h)) - o,    h = (L - 1) (1 - 10^-3) / 2,    o = 0 for an odd L, 1/2 for an even one

    Even numbers of levels are not symmetric: 8 of them are -4 to 3.

    Args:
      z: [..., n].
      levels: L of each channel, n of them.

    Returns:
      [..., n].

    References:
      Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple", 2024, arXiv:2309.15505, appendix A.1.
    """
    num = np.array(levels)
    half = (num - 1) * (1.0 - _MARGIN) / 2.0
    offset = np.where(num % 2 == 1, 0.0, 0.5)
    shift = np.tan(offset / half)
    return jnp.tanh(z + _row(shift, z.ndim)) * _row(half, z.ndim) - _row(offset, z.ndim)


def fsq_codes(rounded: Array, levels: tuple[int, ...]) -> Array:
    """Number the combinations of levels, the first channel being the digit of least weight.

    Args:
      rounded: `fsq_bound` rounded, [..., n].
      levels: L of each channel, n of them.

    Returns:
      [...] int32, 0 to prod(levels) - 1 even where a channel is not a number.
    """
    digits = rounded.astype(jnp.int32) + _row(np.array(levels) // 2, rounded.ndim)
    digits = jnp.clip(digits, 0, _row(np.array(levels) - 1, rounded.ndim))
    return jnp.sum(digits * _row(_weights(levels), rounded.ndim), axis=-1, dtype=jnp.int32)


def fsq_values(codes: Array, levels: tuple[int, ...]) -> Array:
    """Return the channels of codes, in [-1, 1].

    Args:
      codes: [...] int32.
      levels: L of each channel, n of them.

    Returns:
      [..., n] float32.
    """
    num, ndim = np.array(levels), codes.ndim + 1
    digits = codes[..., None] // _row(_weights(levels), ndim) % _row(num, ndim)
    return (digits - _row(num // 2, ndim)).astype(jnp.float32) / _row((num // 2).astype(np.float32), ndim)


class FSQ(nn.Module):
    """Finite scalar quantisation: no codebook, nothing to learn but the encoder, no penalty.

    Parameters: `project_in` and `project_out`, where D is not the number of levels.

    Attributes:
      levels: L of each channel; (8, 5, 5, 5) makes 1,000 codes.
      dim: D, channels of the map.

    References:
      Mentzer et al. 2024, arXiv:2309.15505.
    """

    levels: tuple[int, ...]
    dim: int

    @property
    def num_codes(self) -> int:
        """K, the product of the levels."""
        return math.prod(self.levels)

    def setup(self) -> None:
        if not self.levels or min(self.levels) < 2:
            raise ValueError(f"FSQ has levels {self.levels}, expected at least one channel of at least 2 each.")
        if self._projects:
            self.project_in, self.project_out = nn.Dense(len(self.levels)), nn.Dense(self.dim)

    def __call__(
        self, z: Array, keys: StepKeys | None, *, train: bool, axis_name: str | None = None
    ) -> QuantizerOutput:
        """Quantise a map, in training as in evaluation.

        Args:
          z: [B, h, w, D].
          keys: unused.
          train: whether the statistics are of all replicas.
          axis_name: mapped axis of replicas.

        Returns:
          z_q [B, h, w, D], codes [B, h, w], penalty [B] of zeros, statistics.

        Raises:
          ValueError: if the shape is another, or z is known and not finite.
        """
        del keys
        check_map("FSQ", z, self.dim)
        axis = axis_name if train and not self.is_initializing() else None
        z = z.astype(jnp.float32)
        h = self.project_in(z) if self._projects else z
        bounded = fsq_bound(h, self.levels)
        rounded = jnp.round(bounded)
        codes = fsq_codes(rounded, self.levels)
        half = _row(np.array(self.levels) // 2, z.ndim)
        counts = code_counts(codes.ravel(), self.num_codes, finite_rows(h).ravel(), axis)
        stats = batch_stats(counts, bounded / half, rounded / half, axis)
        z_q = self._back(straight_through(bounded, rounded) / half)
        return QuantizerOutput(z_q, codes, jnp.zeros(z.shape[0]), stats)

    def lookup(self, codes: Array) -> Array:
        """Return z_q of codes, [...] -> [..., D]; a `ValueError` names a known code that does not exist."""
        check_values("codes", codes, self.num_codes)
        return self._back(fsq_values(codes, self.levels))

    def code_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Return the shape of the codes of a map of a size (h, w)."""
        return size

    @property
    def _projects(self) -> bool:
        return self.dim != len(self.levels)

    def _back(self, values: Array) -> Array:
        return self.project_out(values) if self._projects else values


# ---------- private


def _weights(levels: tuple[int, ...]) -> np.ndarray:
    return np.cumprod([1, *levels[:-1]])


def _row(values: np.ndarray, ndim: int) -> Array:
    """One number a channel, for arrays of `ndim` axes."""
    dtype = jnp.int32 if values.dtype.kind == "i" else jnp.float32
    return jnp.asarray(values, dtype).reshape((1,) * (ndim - 1) + (-1,))
