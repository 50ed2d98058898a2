"""Models of images through grids of codes: the VQ-VAE, and the one with two grids, VQ-VAE-2.

An encoder gives a vector for every place of a grid, a quantizer puts a code in place of each, and the decoder sees the
codes' vectors alone. What the codes cost is the business of a second model, a prior over the grids.

References:
  van den Oord et al., "Neural Discrete Representation Learning", 2017, arXiv:1711.00937.
  Razavi et al., "Generating Diverse High-Fidelity Images with VQ-VAE-2", 2019, arXiv:1906.00446.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae.errors import UserError
from jaxvae.models.decoding import decoded, score_latents
from jaxvae.types import Array, Likelihood, StepKeys

Codes = tuple[Array, ...]  # grids [B, h, w] or, of several codes a place, [B, h, w, G]: the coarsest first


class CodedTerms(NamedTuple):
    """What a VQ-VAE gives of B images."""

    log_px: Array  # [B], log p(x | codes), nats
    penalty: Array  # [B], of the quantizers: commitment, and what else they are trained by
    codes: Codes
    stats: tuple[Mapping[str, Array], ...]  # of every grid's quantizer


class VQVAE(nn.Module):
    """Images through one grid of codes (van den Oord et al. 2017, sec. 3).

    Attributes:
      encoder: images [B, H, W, C] -> [B, h, w, D].
      quantizer: of `jaxvae.quantizers`.
      decoder: ([B, h, w, D], x) -> the likelihood's parameters [B, *param_shapes].
      likelihood: of one image given those parameters.
    """

    encoder: nn.Module
    quantizer: nn.Module
    decoder: nn.Module
    likelihood: Likelihood

    def __call__(
        self,
        x: Array,
        keys: StepKeys | None = None,
        *,
        train: bool = False,
        axis_name: str | None = None,
        **options: Any,
    ) -> CodedTerms:
        """Return the terms of the loss of images [B, H, W, C]; in training the quantizer's state moves on.

        Args:
          x: in the likelihood's unit.
          keys: of the step, for quantizers that draw or restart codes; None in evaluation.
          train: whether this is a training step.
          axis_name: mapped axis of replicas that share the batch.
          **options: of the quantizer, as the temperature of a `GumbelQuantizer`.
        """
        _check_step_keys(keys)
        quantized = self.quantizer(self.encoder(x), keys, train=train, axis_name=axis_name, **options)
        log_px = score_latents(self.likelihood, self.decoder, quantized.z_q, x, latent_axes=3)
        return CodedTerms(log_px, quantized.penalty, (quantized.codes,), (quantized.stats,))

    def encode(self, x: Array) -> Codes:
        """Return the grids of codes of images [B, H, W, C]."""
        return (self.quantizer(self.encoder(x), None, train=False).codes,)

    def vectors(self, codes: Codes) -> tuple[Array, ...]:
        """Return the vectors of grids of codes, [B, h, w, D]."""
        return (self.quantizer.lookup(codes[0]),)

    def decode(self, codes: Codes) -> Any:
        """Return the likelihood's parameters for grids of codes."""
        (grid,) = codes
        return decoded(self.decoder, self.quantizer.lookup(grid))


class HierarchicalVQVAE(nn.Module):
    """Images through two grids of codes, the coarse one for the whole and the fine one for what it leaves open.

    Departs from Razavi et al. (sec. 3.1) in that the decoder gets what `top_decoder` makes of the coarse codes, and not
    their vectors enlarged by a layer of its own.

    Attributes:
      encoder: images [B, H, W, C] -> [B, h, w, F].
      top_encoder: [B, h, w, F] -> [B, h', w', D].
      top_quantizer: of the coarse grid.
      top_decoder: [B, h', w', D] -> [B, h, w, F].
      to_bottom: both together, [B, h, w, 2 F] -> [B, h, w, D].
      quantizer: of the fine grid.
      decoder: ([B, h, w, D + F], x) -> the likelihood's parameters [B, *param_shapes].
      likelihood: of one image given those parameters.
    """

    encoder: nn.Module
    top_encoder: nn.Module
    top_quantizer: nn.Module
    top_decoder: nn.Module
    to_bottom: nn.Module
    quantizer: nn.Module
    decoder: nn.Module
    likelihood: Likelihood

    def __call__(
        self,
        x: Array,
        keys: StepKeys | None = None,
        *,
        train: bool = False,
        axis_name: str | None = None,
        **options: Any,
    ) -> CodedTerms:
        """Return the terms of the loss, as `VQVAE`."""
        _check_step_keys(keys)
        h, (of_top, of_bottom) = self.encoder(x), (None, None) if keys is None else _two(keys)
        top = self.top_quantizer(self.top_encoder(h), of_top, train=train, axis_name=axis_name, **options)
        coarse = self.top_decoder(top.z_q)
        fine = self.to_bottom(jnp.concatenate([h, coarse], axis=-1))
        bottom = self.quantizer(fine, of_bottom, train=train, axis_name=axis_name, **options)
        both = jnp.concatenate([bottom.z_q, coarse], axis=-1)
        return CodedTerms(
            score_latents(self.likelihood, self.decoder, both, x, latent_axes=3),
            top.penalty + bottom.penalty,
            (top.codes, bottom.codes),
            (top.stats, bottom.stats),
        )

    def encode(self, x: Array) -> Codes:
        """Return the grids of codes of images [B, H, W, C], the coarse one first."""
        return self(x).codes

    def vectors(self, codes: Codes) -> tuple[Array, ...]:
        """Return the vectors of grids of codes, [B, h, w, D] each, the coarse one first."""
        return self.top_quantizer.lookup(codes[0]), self.quantizer.lookup(codes[1])

    def decode(self, codes: Codes) -> Any:
        """Return the likelihood's parameters for grids of codes, the coarse one first."""
        top, bottom = codes
        coarse = self.top_decoder(self.top_quantizer.lookup(top))
        return decoded(self.decoder, jnp.concatenate([self.quantizer.lookup(bottom), coarse], axis=-1))


def _check_step_keys(keys: StepKeys | None) -> None:
    if not (keys is None or isinstance(keys, StepKeys)):
        found = "an array" if hasattr(keys, "dtype") else f"a {type(keys).__name__}"
        raise UserError(
            f"A VQ-VAE takes the StepKeys of a step, a key for every image and a shared one, got {found}: give "
            "StepKeys(jax.random.split(key, B), key), or None in evaluation."
        )


def _two(keys: StepKeys) -> list[StepKeys]:
    """Return the keys of two quantizers."""
    fold = jax.random.fold_in
    return [StepKeys(jax.vmap(fold, (0, None))(keys.examples, i), fold(keys.shared, i)) for i in range(2)]
