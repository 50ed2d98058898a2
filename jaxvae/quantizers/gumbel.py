"""Gumbel-softmax quantisation: a code is drawn, and relaxed to have a gradient (Jang et al. 2017)."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxvae.errors import check_shape, check_values
from jaxvae.numerics import argmax
from jaxvae.quantizers.usage import QuantizerOutput, batch_stats, check_map, code_counts, finite_rows
from jaxvae.types import Array, StepKeys


def gumbel_softmax(logits: Array, noise: Array, temperature: ArrayLike) -> Array:
    """Return relaxed one-hot draws, softmax((logits + noise) / temperature).

    Args:
      logits: [..., K].
      noise: standard Gumbel, the same shape.
      temperature: more than 0, []; towards 0 the draws become one-hot.

    Returns:
      [..., K], which sum to 1.

    References:
      Jang, Gu & Poole, "Categorical Reparameterization with Gumbel-Softmax", 2017, arXiv:1611.01144, eq. 2.
    """
    check_shape("noise", noise, logits.shape)
    return jax.nn.softmax((logits + noise) / temperature, axis=-1)


class GumbelQuantizer(nn.Module):
    """A categorical posterior of K codes at every position, as the discrete VAE of DALL-E has it.

    In training a code is drawn with relaxation; in evaluation it is the most probable one. The penalty is the KL to the
    uniform distribution in nats, the sum over positions: together with -log p(x | z) it is minus an ELBO, and it is for
    the caller to weight. Parameters: `logits`, a 1x1 convolution, and `embeddings` [K, D].

    Attributes:
      num_codes: K.
      dim: D, channels of the map.
      hard: whether the decoder sees the code that was drawn, with the gradient of the relaxed one, or the relaxed one.

    References:
      Jang, Gu & Poole 2017, arXiv:1611.01144.
      Ramesh et al., "Zero-Shot Text-to-Image Generation", 2021, arXiv:2102.12092, sec. 2.1 and appendix A.
    """

    num_codes: int
    dim: int
    hard: bool = True

    def setup(self) -> None:
        self.logits = nn.Dense(self.num_codes)
        init = nn.initializers.normal(self.dim**-0.5)
        self.embeddings = jnp.asarray(self.param("embeddings", init, (self.num_codes, self.dim)))

    def __call__(
        self,
        z: Array,
        keys: StepKeys | None,
        *,
        train: bool,
        axis_name: str | None = None,
        temperature: ArrayLike = 1.0,
    ) -> QuantizerOutput:
        """Quantise a map.

        Args:
          z: [B, h, w, D].
          keys: those of the step, of which draws need `examples` [B]; None in evaluation.
          train: whether to draw.
          axis_name: mapped axis of replicas, for the statistics in training.
          temperature: of the relaxation, more than 0, []; a schedule of the step. Unused in evaluation.

        Returns:
          z_q [B, h, w, D], codes [B, h, w], penalty [B] in nats, statistics; the error is the mean square between the
          relaxed draw and its code, 0 in evaluation.

        Raises:
          ValueError: if the shape is another, z is known and not finite, or draws have no keys.
        """
        check_map("GumbelQuantizer", z, self.dim)
        axis = axis_name if train and not self.is_initializing() else None
        logits = self.logits(z.astype(jnp.float32))
        if train:
            if keys is None:
                raise ValueError("GumbelQuantizer draws codes, expected the StepKeys of the step, got None.")
            check_shape("keys", keys.examples, z.shape[:1])
            noise = jax.vmap(lambda key: jax.random.gumbel(key, logits.shape[1:]))(keys.examples)
            codes = argmax(logits + noise)
            relaxed = gumbel_softmax(logits, noise, temperature)
            chosen = self.embeddings[codes]
            # Hard draws teach the embedding that was drawn alone, relaxed ones all of them.
            soft = relaxed @ (lax.stop_gradient(self.embeddings) if self.hard else self.embeddings)
            z_q = chosen + (soft - lax.stop_gradient(soft)) if self.hard else soft
        else:
            codes = argmax(logits)
            z_q = soft = chosen = self.embeddings[codes]
        counts = code_counts(codes.ravel(), self.num_codes, finite_rows(logits).ravel(), axis)
        return QuantizerOutput(z_q, codes, _kl_to_uniform(logits), batch_stats(counts, soft, chosen, axis))

    def lookup(self, codes: Array) -> Array:
        """Return z_q of codes, [...] -> [..., D]; a `ValueError` names a known code that does not exist."""
        check_values("codes", codes, self.num_codes)
        return self.embeddings[codes]

    def code_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Return the shape of the codes of a map of a size (h, w)."""
        return size


# ---------- private


def _kl_to_uniform(logits: Array) -> Array:
    """KL(q || uniform) = sum_k q_k log(K q_k), summed over positions, [B, h, w, K] -> [B], nats."""
    log_q = jax.nn.log_softmax(logits)
    return jnp.sum(jnp.exp(log_q) * (log_q + math.log(logits.shape[-1])), axis=(1, 2, 3))
