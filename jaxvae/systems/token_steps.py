"""Decoders of tokens step by step, as models whose images are coded have them: see `jaxvae.codable`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from jaxvae.codable import PixelsGiven, TokenSteps
from jaxvae.likelihoods.pixels import count_values
from jaxvae.likelihoods.scoring import has_independent_pixels
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.types import Array, DataSpec, Likelihood, ModelState, Params


def token_steps(
    decoder: AutoregressiveDecoder,
    likelihood: Likelihood,
    shape: tuple[int, ...],
    params_of: Callable[[Params], Params],
    context_of: Callable[[Any], Array | None],
) -> TokenSteps | None:
    """Return the steps of a decoder.

    Args:
      decoder: of tokens.
      likelihood: of them.
      shape: of those of one example, (H, W, C) of pixels and (h, w) of codes.
      params_of: the decoder's parameters among those of the model.
      context_of: what the decoder's context is made of, of what is given.

    Returns:
      The steps; None if the values have no probabilities one by one.
    """
    if not has_independent_pixels(likelihood, shape):
        return None
    if decoder.num_codes:
        of_code = likelihood.log_pmf
        if of_code is None:
            return None
        log_pmf: Any = lambda of_token, numbers, channel: of_code(of_token)  # noqa: E731
        return _Steps(decoder, decoder.num_codes, log_pmf, params_of, context_of).record((shape[0], shape[1], 1))
    if likelihood.channel_log_pmf is None:
        return None
    log_pmf = jax.vmap(likelihood.channel_log_pmf, in_axes=(0, 0, None))
    num_values = count_values(likelihood, shape)
    return _Steps(decoder, num_values, log_pmf, params_of, context_of).record((shape[0], shape[1], shape[2]))


def pixels_given(
    likelihood: Likelihood, spec: DataSpec, parameters: Callable[[Params, ModelState, Any], Any]
) -> PixelsGiven | None:
    """Return discrete pixels that are independent given something; None if they are no such ones.

    Args:
      likelihood: of an image.
      spec: of the images.
      parameters: (params, model_state, what is given) -> the likelihood's.
    """
    if likelihood.channel_log_pmf is None or not has_independent_pixels(likelihood, spec.shape):
        return None
    return PixelsGiven(likelihood, parameters)


# ---------- private


@dataclass(frozen=True, eq=False)
class _Steps:
    """The functions of `TokenSteps`."""

    decoder: AutoregressiveDecoder
    num_values: int
    log_pmf: Callable[[Any, Array, int], Array]
    params_of: Callable[[Params], Params]
    context_of: Callable[[Any], Array | None]

    def record(self, shape: tuple[int, int, int]) -> TokenSteps:
        methods = self.start, self.start_row, self.read, self.write
        return TokenSteps(shape, self.num_values, self.log_pmf, *methods)

    def start(self, params: Params, model_state: ModelState, given: Any) -> Any:
        num = len(jax.tree.leaves(given)[0])
        return self._call(params, "start", num, self.context_of(given))

    def start_row(self, params: Params, model_state: ModelState, cache: Any, i: Array) -> Any:
        return self._call(params, "start_row", cache, i)

    def read(self, params: Params, model_state: ModelState, cache: Any, i: Array, j: Array) -> tuple[Any, Any]:
        return self._call(params, "read", cache, i, j)

    def write(self, params: Params, model_state: ModelState, cache: Any, numbers: Array, i: Array, j: Array) -> Any:
        token = numbers[:, 0] if self.decoder.num_codes else numbers / (self.num_values - 1)
        return self._call(params, "write", cache, token, i, j)

    def _call(self, params: Params, method: str, *arguments: Any) -> Any:
        return self.decoder.apply({"params": self.params_of(params)}, *arguments, method=method)
