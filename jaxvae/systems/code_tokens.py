"""The codes of a VQ-VAE under their prior as the numbers by which images are coded."""

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from jaxvae import likelihoods
from jaxvae.codable import HasTokens, TokenSteps
from jaxvae.likelihoods.pixels import count_values
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.systems.code_prior import CodePriorParts
from jaxvae.systems.token_steps import pixels_given, token_steps
from jaxvae.types import Array, ModelState, Params


def codes_of_images(prior: CodePriorParts) -> HasTokens:
    """Return by what images are coded: their codes, and the pixels given these where they are discrete.

    Args:
      prior: with the VQ-VAE whose codes they are.
    """
    codec, likelihood = prior.codec, prior.codec.model.likelihood
    if likelihood.channel_log_pmf is not None:
        num_values = count_values(likelihood, codec.spec.shape)
    else:
        num_values = 2 if likelihood.discrete else codec.spec.num_values  # of a mixture of Bernoullis, or of a density
    codes = _Codes(prior)
    return HasTokens(
        num_values,
        tuple(_steps(prior, level) for level in range(len(prior.decoders))),
        codes.encode,
        codes.decode,
        codes.log_prob,
        lossless=False,
        rest=pixels_given(likelihood, codec.spec, codes.parameters),
        num_classes=prior.spec.num_classes if prior.decoders[0].context is not None else 0,
    )


# ---------- private


@dataclass(frozen=True, eq=False)
class _Codes:
    """The functions of `HasTokens`, whose numbers are codes; several codes of a place stand beside each other."""

    prior: CodePriorParts

    def encode(self, params: Params, model_state: ModelState, x: Array) -> tuple[Array, ...]:
        grids = self.prior.codec.encode(model_state["params"], model_state["state"], x)
        return tuple(grid.reshape(*grid.shape[:2], -1, 1).astype(jnp.int32) for grid in grids)

    def decode(self, params: Params, model_state: ModelState, numbers: tuple[Array, ...]) -> Array:
        return self.prior.codec.decode(model_state["params"], model_state["state"], self._grids(numbers))

    def log_prob(self, params: Params, model_state: ModelState, classes: Array, numbers: tuple[Array, ...]) -> Array:
        rows = jnp.concatenate([grid.reshape(len(grid), -1) for grid in numbers], axis=1)
        return -self.prior.nll(params, rows, classes)

    def parameters(self, params: Params, model_state: ModelState, numbers: tuple[Array, ...]) -> Any:
        variables = {"params": model_state["params"], **model_state["state"]}
        return self.prior.codec.model.apply(variables, self._grids(numbers), method="decode")

    def _grids(self, numbers: tuple[Array, ...]) -> tuple[Array, ...]:
        grids = zip(numbers, self.prior.shapes, strict=True)
        return tuple(jnp.asarray(of_grid).reshape(len(of_grid), *shape) for of_grid, shape in grids)


def _steps(prior: CodePriorParts, level: int) -> TokenSteps:
    decoder: AutoregressiveDecoder = prior.decoders[level]
    height, *rest = prior.shapes[level]
    found = token_steps(
        decoder,
        likelihoods.categorical(decoder.num_codes),
        (height, math.prod(rest)),
        lambda params: params[str(level)],
        (lambda numbers: numbers[..., 0]) if level else (lambda classes: classes),
    )
    assert found is not None, "codes have probabilities one by one"
    return found
