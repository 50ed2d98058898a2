"""Lookup-free quantisation: the signs of n channels are the bits of the code (Yu et al. 2024)."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxvae.errors import check_shape, check_values
from jaxvae.quantizers.straight_through import commitment, straight_through
from jaxvae.quantizers.usage import QuantizerOutput, batch_stats, check_map, code_counts, finite_rows
from jaxvae.types import Array, StepKeys

_SMALLEST = 1e-30  # of a probability: the gradient of the entropy is finite where one is 0


def bits_entropy(logits: Array) -> Array:
    """Return the entropy of independent bits, sum_i h(sigmoid(logit_i)).

    Args:
      logits: log-odds of ones, [..., n].

    Returns:
      [...], nats.
    """
    ones, zeros = jax.nn.sigmoid(logits), jax.nn.sigmoid(-logits)
    return -jnp.sum(ones * jax.nn.log_sigmoid(logits) + zeros * jax.nn.log_sigmoid(-logits), axis=-1)


def mean_code_probs(logits: Array) -> Array:
    """Return the mean over N vectors of the probabilities of all 2^n codes, exactly.

      p(c) = 1/N sum_j prod_i p_ji(c_i)

    The bits of one vector are independent, those of the mean are not. One matrix product of the probabilities of the
    first half of the bits, [N, 2^(n/2)], and of those of the second half holds all of it.

    Args:
      logits: log-odds of ones, [N, n].

    Returns:
      [2^n], in no particular order.
    """
    check_shape("logits", logits, (None, None))
    half = logits.shape[1] // 2
    first, second = _code_probs(logits[:, :half]), _code_probs(logits[:, half:])
    return jnp.dot(first.T, second, precision=lax.Precision.HIGHEST).ravel() / len(logits)


class LFQ(nn.Module):
    """Lookup-free quantisation: z_q = sign(z), -1 or 1 in each of n channels, without a codebook.

    The penalty is that of the paper: commitment, and an entropy term that wants every vector sure of its code and the
    batch to use all codes,

      entropy_weight (E[H(q(c | z))] - H(E[q(c | z)])),    q(c | z) ~ exp(-|z - c|^2 / temperature)

    whose first part is of independent bits, and whose second part is exact (`mean_code_probs`): 2^n numbers, to about
    n = 18. Parameters: `project_in` and `project_out`, where D is not n.

    Attributes:
      num_bits: n, 1 to 30.
      dim: D, channels of the map.
      entropy_weight: of the entropy term, which is in nats.
      commitment_weight: of the mean square of z - z_q.
      temperature: of q; at 1 a vector that is its code is sure of each bit to 98 %.

    References:
      Yu et al., "Language Model Beats Diffusion: Tokenizer is Key to Visual Generation", 2024, arXiv:2310.05737,
      sec. 3.1. Departs from it in the entropy of the batch, which is exact there for groups of bits alone.
    """

    num_bits: int
    dim: int
    entropy_weight: float = 0.1
    commitment_weight: float = 0.25
    temperature: float = 1.0

    @property
    def num_codes(self) -> int:
        """K = 2^n."""
        return 2**self.num_bits

    def setup(self) -> None:
        if not 1 <= self.num_bits <= 30:
            raise ValueError(f"LFQ has {self.num_bits} bits, expected 1 to 30.")
        if self._projects:
            self.project_in, self.project_out = nn.Dense(self.num_bits), nn.Dense(self.dim)

    def __call__(
        self, z: Array, keys: StepKeys | None, *, train: bool, axis_name: str | None = None
    ) -> QuantizerOutput:
        """Quantise a map, in training as in evaluation, where the penalty is without H(E[q]), which no example has.

        Args:
          z: [B, h, w, D].
          keys: unused.
          train: whether the penalty has the entropy of the batch; it and the statistics are then of all replicas.
          axis_name: mapped axis of replicas.

        Returns:
          z_q [B, h, w, D], codes [B, h, w], penalty [B], statistics.

        Raises:
          ValueError: if the shape is another, or z is known and not finite.
        """
        del keys
        check_map("LFQ", z, self.dim)
        axis = axis_name if train and not self.is_initializing() else None
        z = z.astype(jnp.float32)
        h = self.project_in(z) if self._projects else z
        codes = jnp.sum((h > 0) * self._weights(h.ndim), axis=-1, dtype=jnp.int32)
        signs = jnp.where(h > 0, 1.0, -1.0)
        logits = 4.0 / self.temperature * h  # |h + 1|^2 - |h - 1|^2 = 4 h
        entropy = jnp.mean(bits_entropy(logits), axis=(1, 2))
        if train:
            entropy -= self._batch_entropy(logits, axis)
        penalty = self.commitment_weight * commitment(h, signs) + self.entropy_weight * entropy
        counts = code_counts(codes.ravel(), self.num_codes, finite_rows(h).ravel(), axis)
        z_q = self._back(straight_through(h, signs))
        return QuantizerOutput(z_q, codes, penalty, batch_stats(counts, h, signs, axis))

    def lookup(self, codes: Array) -> Array:
        """Return z_q of codes, [...] -> [..., D]; a `ValueError` names a known code that does not exist."""
        check_values("codes", codes, self.num_codes)
        bits = codes[..., None] // self._weights(codes.ndim + 1) % 2
        return self._back(2.0 * bits.astype(jnp.float32) - 1.0)

    def code_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Return the shape of the codes of a map of a size (h, w)."""
        return size

    @property
    def _projects(self) -> bool:
        return self.dim != self.num_bits

    def _back(self, bits: Array) -> Array:
        return self.project_out(bits) if self._projects else bits

    def _weights(self, ndim: int) -> Array:
        """Of the bits, the first one the least, for arrays of `ndim` axes."""
        return jnp.asarray(2 ** np.arange(self.num_bits), jnp.int32).reshape((1,) * (ndim - 1) + (-1,))

    def _batch_entropy(self, logits: Array, axis_name: str | None) -> Array:
        """H(E[q])."""
        probs = mean_code_probs(logits.reshape(-1, self.num_bits))
        if axis_name:
            # The value is the mean over replicas, the gradient that of the local part: averaging the replicas'
            # gradients, as the train step does, is then the gradient of the whole batch.
            probs += lax.stop_gradient(lax.pmean(probs, axis_name) - probs)
        return -jnp.sum(probs * jnp.log(jnp.maximum(probs, _SMALLEST)))


# ---------- private


def _code_probs(logits: Array) -> Array:
    """The probabilities of all codes of m independent bits, [N, m] -> [N, 2^m]."""
    num = logits.shape[1]
    ones = jnp.asarray(np.arange(2**num)[None] // 2 ** np.arange(num)[:, None] % 2, jnp.float32)  # [m, 2^m]
    product = functools.partial(jnp.dot, precision=lax.Precision.HIGHEST)  # what is rounded here is exponentiated
    return jnp.exp(product(jax.nn.log_sigmoid(logits), ones) + product(jax.nn.log_sigmoid(-logits), 1.0 - ones))
