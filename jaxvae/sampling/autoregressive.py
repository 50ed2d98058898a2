"""Images drawn pixel by pixel, each given those before it, as one program over all positions.

A cache keeps what the net needs of the pixels so far, so that an image costs about one pass of the net and not one for
every pixel. What an example draws depends on its own key alone.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxvae.distributions import categorical_sample
from jaxvae.errors import check_shape
from jaxvae.keys import check_keys
from jaxvae.nets.autoregressive import AutoregressiveDecoder
from jaxvae.types import Array, Likelihood, Params, PRNGKey

_ROUNDING = 1e-5  # of a sum of probabilities

Draw = Callable[[PRNGKey, Any], Array]  # (key, parameters of one pixel) -> its value


def autoregressive(
    decoder: AutoregressiveDecoder,
    params: Params,
    keys: PRNGKey,
    draw: Draw,
    z: Array | None = None,
    *,
    given: Array | None = None,
    known: Array | None = None,
    allowed: Array | None = None,
    cached: bool = True,
) -> Array:
    """Draw images of p(x | z), or complete given ones.

    Args:
      decoder: of the images.
      params: its parameters.
      keys: one an image, [B]; pixel i in raster order draws with fold_in(key, i).
      draw: `likelihood.sample`, or a `restricted_draw`.
      z: what the decoder's context is made of, with a leading axis [B]; None without.
      given: images [B, H, W, C] or codes [B, H, W] whose known pixels are kept.
      known: booleans, which pixels are, [H, W] or [B, H, W]. Those after an unknown one condition only what follows
        them: a completion is exact where the known pixels come first.
      allowed: booleans, which codes a pixel may have, [B, H, W, K], of decoders that give their logits: others have
        none of the probability.
      cached: whether to keep what the net computed; without, all positions are computed for each pixel: the same draws
        in many times the time, for checks.

    Returns:
      Images [B, H, W, C] or codes [B, H, W], as the draws give them.
    """
    check_keys(keys)
    variables, num = {"params": params}, keys.shape[0]
    leaf = jax.tree.leaves(decoder.param_shapes)[0]
    height, width = leaf.shape[:2]
    pixel = jax.eval_shape(draw, keys[0], jax.tree.map(_pixel_of, decoder.param_shapes))
    x = jnp.zeros((num, height, width, *pixel.shape), pixel.dtype)
    if (given is None) != (known is None):
        raise ValueError("Completing images takes both, `given` and `known`.")
    if given is not None and known is not None:
        check_shape("given", given, x.shape)
        known = jnp.broadcast_to(known, (num, height, width))

    def call(method: str, *arguments: Any) -> Any:
        return decoder.apply(variables, *arguments, method=method)

    def one_row(i: Array, carry: tuple[Array, Any]) -> tuple[Array, Any]:
        x, cache = carry
        if cached:
            cache = call("start_row", cache, i)

        def one_pixel(j: Array, carry: tuple[Array, Any]) -> tuple[Array, Any]:
            x, cache = carry
            if cached:
                of_pixel, cache = call("read", cache, i, j)
            else:
                of_pixel = jax.tree.map(lambda leaf: leaf[:, i, j], decoder.apply(variables, z, x))
            if allowed is not None:
                of_pixel = jnp.where(allowed[:, i, j], of_pixel, -jnp.inf)
            pixel_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, i * width + j)
            value = jax.vmap(draw)(pixel_keys, of_pixel)
            if given is not None and known is not None:
                kept = known[:, i, j].reshape(num, *(1,) * (value.ndim - 1))
                value = jnp.where(kept, given[:, i, j].astype(value.dtype), value)
            if cached:
                cache = call("write", cache, value, i, j)
            return x.at[:, i, j].set(value), cache

        return lax.fori_loop(0, width, one_pixel, (x, cache))

    cache = call("start", num, z) if cached else None
    return lax.fori_loop(0, height, one_row, (x, cache))[0]


def tempered_draw(likelihood: Likelihood, temperature: ArrayLike) -> Draw:
    """Return a draw of a pixel's value at a temperature, with the noise of `likelihood.sample`.

    Args:
      likelihood: of discrete, independent pixels.
      temperature: the log-probabilities are divided by it; may be traced.

    Raises:
      ValueError: if the likelihood has no such parameters.
    """
    if likelihood.tempered is None:
        raise ValueError(
            "Pixels are drawn at a temperature by their log-probabilities: expected a likelihood of these."
        )
    tempered = functools.partial(likelihood.tempered, temperature=temperature)
    return lambda key, params: likelihood.sample(key, tempered(params))


def restricted_draw(
    likelihood: Likelihood, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Draw:
    """Return a draw of a pixel's value from its more likely ones; of equally likely ones the lower values come first.

    Args:
      likelihood: of discrete, independent pixels.
      temperature: the log-probabilities are divided by it.
      top_k: how many of the most likely values may be drawn, no more where several are equally likely; None takes all.
      top_p: the fewest of the most likely values are drawn that together have this probability, at least one (Holtzman
        et al. 2020, arXiv:1904.09751, sec. 3.1); None and 1 take all. It counts after temperature and top_k.

    Raises:
      ValueError: if the likelihood has no probabilities of single values, or a number makes no sense.
    """
    if likelihood.log_pmf is None:
        raise ValueError("Draws are restricted among the values of a pixel: expected a likelihood with a log_pmf.")
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}, expected more than 0.")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k is {top_k}, expected at least 1.")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}, expected more than 0 and at most 1.")

    def draw(key: PRNGKey, params: Any) -> Array:
        logits = likelihood.log_pmf(params) / temperature  # [..., V]
        if top_k is not None or (top_p is not None and top_p < 1):
            logits = _restricted(logits, top_k, top_p)
        return categorical_sample(key, logits).astype(jnp.float32)  # as likelihoods draw

    return draw


# ---------- private


def _restricted(logits: Array, top_k: int | None, top_p: float | None) -> Array:
    """Logits [..., V] with -inf for values that are not among the most likely ones."""
    order = jnp.argsort(logits, axis=-1, descending=True, stable=True)
    rank = jnp.argsort(order, axis=-1)  # by rank, not by probability: equal ones would all be drawn
    if top_k is not None:
        logits = jnp.where(rank < top_k, logits, -jnp.inf)
    if top_p is not None:
        ordered = jnp.take_along_axis(jax.nn.softmax(logits), order, axis=-1)
        before = jnp.cumsum(ordered, axis=-1) - ordered
        # A sum that is top_p but for its rounding is reached.
        enough = jnp.take_along_axis(before >= top_p * (1.0 - _ROUNDING), rank, axis=-1)
        logits = jnp.where(enough & (rank > 0), -jnp.inf, logits)
    return logits


def _pixel_of(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape[2:], leaf.dtype)
