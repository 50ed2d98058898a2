"""Completion of images by autoregressive models: pixels given those before them, weighed by those that come after."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae import sampling
from jaxvae.likelihoods.scoring import score_images
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.sampling.given_pixels import split_ahead
from jaxvae.systems.tokens import BlockTokens, Tokens
from jaxvae.types import Array, Likelihood, Params, PRNGKey

CANDIDATES = 8  # of which one becomes the completion


@dataclass(frozen=True, eq=False)
class KnownTokens:
    """An autoregressive model and B images of which some pixels are known.

    Attributes:
      decoder: of tokens.
      likelihood: of a token.
      tokens: the units that are predicted.
      params: of the decoder.
      x: prepared images [B, H, W, C]; unknown pixels may have any values.
      context: what the decoder's context is made of, [B], or None.
      known: which pixels are, [B, H, W].
    """

    decoder: AutoregressiveDecoder
    likelihood: Likelihood
    tokens: Tokens
    params: Params
    x: Array
    context: Array | None
    known: Array

    def complete(self, keys: PRNGKey, num: int) -> Array:
        """Complete images by importance resampling of a few candidates each.

        A candidate has its unknown tokens drawn of p(x_i | x_<i), which knows of the known ones before them alone. Its
        weight is the product of p(x_i | x_<i) over the known tokens, so that a candidate counts that suits what comes
        after it too: completions are exact where the unknown pixels come last, see `is_in_order`, and elsewhere in the
        limit of many candidates.

        Args:
          keys: [B].
          num: of completions.

        Returns:
          [num, B, H, W, C]; fewer completions are the first ones of more.
        """
        of_completions = split_ahead(keys, num).reshape(-1)
        each = split_ahead(of_completions, CANDIDATES + 1)
        drawn, log_weights = self._candidates(each[:CANDIDATES].reshape(-1))
        log_weights = log_weights.reshape(CANDIDATES, -1)
        chosen = jax.vmap(jax.random.categorical)(each[CANDIDATES], log_weights.T)
        images = self.tokens.decode(drawn)
        images = images.reshape(CANDIDATES, num * len(self.x), *images.shape[1:])
        return images[chosen, jnp.arange(num * len(self.x))].reshape(num, *self.x.shape)

    def log_unknown(self, keys: PRNGKey, num: int) -> Array:
        """Return log p(unknown pixels | known pixels) of whole images, [B] nats.

          log p(unknown | known) = log p(x) - log p(known),    p(known) ~ 1/S sum_s prod_known p(x_i | x_<i^s)

        In order, where the weights of all candidates are those of the image itself, it is exact: `num` is 0 then, and
        nothing is drawn.

        Args:
          keys: [B].
          num: S, candidates of an image; 0 where the known pixels come first.
        """
        tokens = self.tokens.encode(self.x)
        whole = score_images(self.likelihood, self._parameters(tokens, 1), tokens)
        if num == 0:
            return whole - self._log_known(tokens, 1)
        _, log_weights = self._candidates(split_ahead(keys, num).reshape(-1))
        log_known = jax.nn.logsumexp(log_weights.reshape(num, len(self.x)), axis=0) - jnp.log(float(num))
        return whole - log_known

    def _candidates(self, keys: PRNGKey) -> tuple[Array, Array]:
        """Tokens with the known ones of the images in turn, and their log-weights, keys [N] -> [N, h, w] and [N]."""
        num = len(keys) // len(self.x)
        if isinstance(self.tokens, BlockTokens):  # a block of known and unknown pixels is one of those that agree
            given: dict[str, Any] = {"allowed": _several(self.tokens.agreeing(self.x, self.known), num)}
        else:
            given = {"given": _several(self.tokens.encode(self.x), num), "known": _several(self.known, num)}
        z = None if self.context is None else _several(self.context, num)
        drawn = sampling.autoregressive(self.decoder, self.params, keys, self.likelihood.sample, z, **given)
        return drawn, self._log_known(drawn, num)

    def _log_known(self, tokens: Array, num: int) -> Array:
        """The sum of log p(x_i | x_<i) over what is known of the tokens, [N]."""
        of_x = self._parameters(tokens, num)
        if isinstance(self.tokens, BlockTokens):
            allowed = _several(self.tokens.agreeing(self.x, self.known), num)
            log_p = jax.nn.logsumexp(jax.nn.log_softmax(of_x), axis=-1, where=allowed)
        else:
            score = jax.vmap(jax.vmap(jax.vmap(self.likelihood.log_prob)))
            log_p = jnp.where(_several(self.known, num), score(of_x, tokens), 0.0)
        return jnp.sum(log_p, axis=(1, 2))

    def _parameters(self, tokens: Array, num: int) -> Any:
        z = None if self.context is None else _several(self.context, num)
        return self.decoder.apply({"params": self.params}, z, tokens)


def is_in_order(tokens: Tokens, known: np.ndarray) -> np.ndarray:
    """Return of which masks all that is known comes before all that is unknown, [B] booleans.

    The order is that of the tokens, row by row. One block that is known in part may stand between: its values that
    agree are summed over.

    Args:
      tokens: the units that are predicted.
      known: which pixels are, [B, H, W].
    """
    size = tokens.size if isinstance(tokens, BlockTokens) else 1
    num, height, width = known.shape
    blocks = known.reshape(num, height // size, size, width // size, size)
    some_known, some_unknown = (which.any(axis=(2, 4)).reshape(num, -1) for which in (blocks, ~blocks))
    places = np.arange(some_known.shape[1])
    last_known = np.where(some_known, places, -1).max(axis=1)
    first_unknown = np.where(some_unknown, places, len(places)).min(axis=1)
    return last_known <= first_unknown


# ---------- private


def _several(leaf: Array, num: int) -> Array:
    """An array of the images [B, ...] as often as they have candidates, [num B, ...]."""
    return jnp.broadcast_to(leaf, (num, *leaf.shape)).reshape(-1, *leaf.shape[1:])
