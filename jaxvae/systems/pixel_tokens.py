"""The tokens of autoregressive models of images as the numbers by which these are coded."""

from dataclasses import dataclass

import jax.numpy as jnp

from jaxvae.codable import HasTokens
from jaxvae.likelihoods.scoring import score_images
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.systems.token_steps import token_steps
from jaxvae.systems.tokens import BlockTokens, Tokens
from jaxvae.types import Array, DataSpec, Likelihood, ModelState, Params


def tokens_of_images(
    spec: DataSpec, decoder: AutoregressiveDecoder, likelihood: Likelihood, tokens: Tokens, num_classes: int
) -> HasTokens | None:
    """Return by what the images of an autoregressive model are coded; None if it has no probabilities of single values.

    Args:
      spec: of the images.
      decoder: of tokens.
      likelihood: of the tokens.
      tokens: pixels or blocks of them.
      num_classes: K, of a model that is conditional on classes.
    """
    if len(spec.shape) != 3 or (tokens.num_codes and not isinstance(tokens, BlockTokens)):
        return None
    steps = token_steps(decoder, likelihood, tokens.shape, lambda params: params, lambda classes: classes)
    if steps is None:
        return None
    num_values = 2 if tokens.num_codes else steps.num_values
    pixels = _Pixels(decoder, likelihood, tokens, num_values)
    return HasTokens(num_values, (steps,), pixels.encode, pixels.decode, pixels.log_prob, num_classes=num_classes)


# ---------- private


@dataclass(frozen=True, eq=False)
class _Pixels:
    """The functions of `HasTokens`, whose numbers are pixel values or codes of blocks."""

    decoder: AutoregressiveDecoder
    likelihood: Likelihood
    tokens: Tokens
    num_values: int

    def encode(self, params: Params, model_state: ModelState, x: Array) -> tuple[Array, ...]:
        if self.tokens.num_codes:
            return (self.tokens.encode(x)[..., None].astype(jnp.int32),)
        return (jnp.round(x * (self.num_values - 1)).astype(jnp.int32),)

    def decode(self, params: Params, model_state: ModelState, numbers: tuple[Array, ...]) -> Array:
        (of_grid,) = numbers
        return self.tokens.decode(self._inputs(of_grid))

    def log_prob(self, params: Params, model_state: ModelState, classes: Array, numbers: tuple[Array, ...]) -> Array:
        inputs, context = self._inputs(numbers[0]), None if self.decoder.context is None else classes
        return score_images(self.likelihood, self.decoder.apply({"params": params}, context, inputs), inputs)

    def _inputs(self, numbers: Array) -> Array:
        return numbers[..., 0] if self.tokens.num_codes else numbers / (self.num_values - 1)
