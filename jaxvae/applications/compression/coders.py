"""The coder of a trained system, by what it can do."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxvae import objectives
from jaxvae.applications.compression.autoregressive import autoregressive_coding, most_likely_classes
from jaxvae.applications.compression.bits_back import BitsBack
from jaxvae.applications.compression.coder import ImageCoder
from jaxvae.applications.compression.pixels import IndependentPixels, PixelCoder
from jaxvae.applications.compression.rounded import RoundedLatents
from jaxvae.applications.compression.tokens import stepped_tokens
from jaxvae.capabilities import Codes, Decodes, find, require, require_any
from jaxvae.codable import HasLatentChain, HasRoundedLatents, HasTokens, TokenSteps
from jaxvae.errors import UserError
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, PRNGKey, System


def image_coder(
    system: System, params: Params, model_state: ModelState, *, lossless: bool = False, rate: float | None = None
) -> ImageCoder:
    """Return what codes images under a trained system.

    Args:
      system: a VAE or an autoregressive model of discrete pixels, or a VQ-VAE with a prior over its codes.
      params: its parameters.
      model_state: its state.
      lossless: whether a VQ-VAE codes behind the codes what these leave open of the pixels, so that the images come
        back; those of VAEs and autoregressive models do in any case, those of lossy VAEs in none.
      rate: of a lossy VAE, bits per pixel value that are aimed at; by default those of its training.

    Raises:
      UserError: if it has no probabilities that images can be coded by.
    """
    if find(system, Codes) is not None and find(system, HasTokens) is None:
        raise UserError(
            f"{system.name} has no probabilities of its codes: train a prior over them, as `python -m "
            "experiments.vqvae_prior --codec RUN` does, and compress with that."
        )
    found = require_any(system, (HasLatentChain, HasTokens, HasRoundedLatents), "probabilities to code images by")
    if isinstance(found, HasRoundedLatents):
        if lossless:
            raise UserError(
                f"{system.name} is a lossy VAE, from which images never come back as they were: leave lossless out."
            )
        return _by_rounding(system, found, params, model_state, rate)
    if rate is not None:
        raise UserError(f"A rate is for lossy VAEs alone, and {system.name} is none: leave it out.")
    if isinstance(found, HasLatentChain):
        return _by_latents(system, found, params, model_state)
    return _by_tokens(system, found, params, model_state, lossless)


def negative_elbo(
    system: System, params: Params, model_state: ModelState, num_values: int, values: np.ndarray
) -> np.ndarray:
    """Return the negative ELBO of one sample of every image, [N] nats, of values [N, H, W, C]."""
    terms = require(system, HasLatentChain).terms
    size = program_batch_size(len(values), evaluation_batch_size(system.spec))

    def one(start: int, batch: Batch) -> Array:
        x = batch.x.astype(np.float32) / np.float32(num_values - 1)
        return _negative_elbo(terms, params, model_state, evaluation_keys(start, size), x)

    return np.asarray(in_batches(one, Dataset(values, None), size, shown="ELBO"), np.float64)


def negative_log_prob(
    system: System, params: Params, model_state: ModelState, with_rest: bool, values: np.ndarray
) -> np.ndarray:
    """Return -log p of the tokens of every image, [N] nats, of values [N, H, W, C]; with that of its class, log K.

    Args:
      system: one that has tokens.
      params: its parameters.
      model_state: its state.
      with_rest: whether -log p of the pixels given the tokens is added.
      values: of the images.
    """
    tokens, size = require(system, HasTokens), program_batch_size(len(values), evaluation_batch_size(system.spec))
    log_px = require(system, Codes).log_px if with_rest else None

    def one(start: int, batch: Batch) -> Array:
        x = batch.x.astype(np.float32) / np.float32(tokens.num_values - 1)
        return _negative_log_prob(tokens, log_px, params, model_state, x)

    return np.asarray(in_batches(one, Dataset(values, None), size, shown="log p"), np.float64)


# ---------- private


def _by_latents(system: System, chain: HasLatentChain, params: Params, model_state: ModelState) -> ImageCoder:
    if isinstance(chain.pixels, TokenSteps):
        latents = tuple(np.zeros((1, dim), np.float32) for dim in chain.sizes)
        pixels: PixelCoder = stepped_tokens(chain.pixels, params, model_state, latents)
    else:
        pixels = IndependentPixels(chain.pixels.likelihood, system.spec.shape, chain.pixels.parameters)
    coder = BitsBack(chain, pixels, params, model_state)
    bound = functools.partial(negative_elbo, system, params, model_state, pixels.num_values)
    return _exactly(ImageCoder("bits back", pixels.num_values, coder.encode, coder.decode, bound, coder.bits_of_each))


def _by_rounding(
    system: System, latents: HasRoundedLatents, params: Params, model_state: ModelState, rate: float | None
) -> ImageCoder:
    if rate is not None and not (isinstance(rate, int | float) and 0 < rate < math.inf):
        raise UserError(f"The rate is {rate}, expected bits per pixel value, more than 0.")
    decodes = require(system, Decodes)
    coder = RoundedLatents(latents, decodes, system.prepare, system.spec, params, model_state, rate)
    functions = coder.encode, coder.decode, coder.rates, coder.bits_of_each
    return _exactly(ImageCoder("rounded latents", system.spec.num_values, *functions, lossless=False))


def _by_tokens(
    system: System, tokens: HasTokens, params: Params, model_state: ModelState, lossless: bool
) -> ImageCoder:
    with_rest = lossless and not tokens.lossless
    if with_rest and tokens.rest is None:
        raise UserError(
            f"{system.name} has a density of pixel values and no probabilities of them, so that images come back with "
            "loss alone: train the VQ-VAE with --likelihood logistic_mixture, or leave out what codes without loss."
        )
    coder = autoregressive_coding(tokens, system.spec.shape, params, model_state, with_rest=with_rest)
    bound = functools.partial(negative_log_prob, system, params, model_state, with_rest)
    name, comes_back = ("autoregressive", True) if tokens.lossless else ("codes", with_rest)
    return _exactly(
        ImageCoder(name, tokens.num_values, coder.encode, coder.decode, bound, coder.bits_of_each, comes_back)
    )


def _exactly(coder: ImageCoder) -> ImageCoder:
    """The coder without products that an accelerator rounds to fewer digits."""

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            with jax.default_matmul_precision("highest"):
                return function(*arguments)

        return call

    exact = [wrapped(function) for function in (coder.encode, coder.decode, coder.bits_of_each)]
    return coder._replace(encode=exact[0], decode=exact[1], bits_of_each=exact[2])


@functools.partial(jax.jit, static_argnums=0)
def _negative_elbo(
    terms: Callable[..., Any], params: Params, model_state: ModelState, keys: PRNGKey, x: Array
) -> Array:
    return -objectives.elbo(terms(params, model_state, keys, x))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _negative_log_prob(
    tokens: HasTokens, log_px: Callable[..., Array] | None, params: Params, model_state: ModelState, x: Array
) -> Array:
    _, log_p = most_likely_classes(tokens, params, model_state, x)
    return -log_p if log_px is None else -(log_p + log_px(params, model_state, x))
