"""Completion of images by autoregressive models: pixels given those before them, weighed by those that come after."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae import sampling
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.sampling.given_pixels import split_ahead
from jaxvae.systems.tokens import BlockTokens, Tokens
from jaxvae.types import Array, Likelihood, Params, PRNGKey

CANDIDATES = 8  # of which one becomes the completion


def complete_images(
    decoder: AutoregressiveDecoder,
    likelihood: Likelihood,
    tokens: Tokens,
    params: Params,
    keys: PRNGKey,
    x: Array,
    context: Array | None,
    known: Array,
    num: int,
) -> Array:
    """Complete images by importance resampling of a few candidates each.

    A candidate has its unknown tokens drawn of p(x_i | x_<i), which knows of the known ones before them alone. Its
    weight is the product of p(x_i | x_<i) over the known tokens, so that a candidate counts that suits what comes after
    it too: completions are exact where the unknown pixels come last, and elsewhere in the limit of many candidates.

    Args:
      decoder: of tokens.
      likelihood: of a token.
      tokens: the units that are predicted.
      params: of the decoder.
      keys: [B].
      x: prepared images [B, H, W, C]; unknown pixels may have any values.
      context: what the decoder's context is made of, [B], or None.
      known: which pixels are, [B, H, W].
      num: of completions.

    Returns:
      [num, B, H, W, C]; fewer completions are the first ones of more.
    """
    of_completions = split_ahead(keys, num).reshape(-1)
    each = split_ahead(of_completions, CANDIDATES + 1)

    def several(leaf: Array) -> Array:
        return jnp.broadcast_to(leaf, (CANDIDATES * num, *leaf.shape)).reshape(-1, *leaf.shape[1:])

    z = None if context is None else several(context)
    if isinstance(tokens, BlockTokens):  # a block of known and unknown pixels is one of those that agree
        given: dict[str, Any] = {"allowed": several(tokens.agreeing(x, known))}
    else:
        given = {"given": several(tokens.encode(x)), "known": several(known)}
    drawn = sampling.autoregressive(decoder, params, each[:CANDIDATES].reshape(-1), likelihood.sample, z, **given)
    of_x: Any = decoder.apply({"params": params}, z, drawn)
    if "allowed" in given:
        log_p = jax.nn.logsumexp(jax.nn.log_softmax(of_x), axis=-1, where=given["allowed"])
    else:
        score = jax.vmap(jax.vmap(jax.vmap(likelihood.log_prob)))
        log_p = jnp.where(given["known"], score(of_x, drawn), 0.0)
    log_weights = jnp.sum(log_p, axis=(1, 2)).reshape(CANDIDATES, -1)
    chosen = jax.vmap(jax.random.categorical)(each[CANDIDATES], log_weights.T)
    images = tokens.decode(drawn)
    images = images.reshape(CANDIDATES, num * len(x), *images.shape[1:])
    return images[chosen, jnp.arange(num * len(x))].reshape(num, *x.shape)
