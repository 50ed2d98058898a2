"""Latents given some of the pixels, by importance resampling: what completing an image by a VAE takes.

Shapes: B images, S latents of each, G guesses. z is any pytree of arrays [S, B, ...] or, where said, [B, ...].
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxvae.keys import check_keys
from jaxvae.types import Array, PRNGKey

DRAWS = 256  # S, latents that are weighed in a round
GUESSES = 14  # G, images that are encoded in a round
ROUNDS = 4
_OF_PRIOR = DRAWS // 8  # of the latents of the last round: the weights are bounded whatever q(z | x) leaves out
_OF_GUESS = (DRAWS - _OF_PRIOR) // GUESSES


class LatentDensities(NamedTuple):
    """Densities of a latent variable model, and of B images of which some pixels are known."""

    draw_prior: Callable[[PRNGKey], Any]  # keys [N] -> z of p(z), [N, ...]
    log_prior: Callable[[Any], Array]  # z [S, B, ...] -> log p(z), [S, B]
    draw_posterior: Callable[[PRNGKey, Array, int], Any]  # keys [N], x [N, ...], S -> z of q(z | x), [S, N, ...]
    log_posterior: Callable[[Array, Any], Array]  # x [B, ...], z [S, B, ...] -> log q(z | x), [S, B]
    log_known: Callable[[Any], Array]  # z [S, B, ...] -> log p(known pixels | z) and the same constant, [S, B]
    draw_images: Callable[[PRNGKey, Any], Array]  # keys [N], z [N, ...] -> x of p(x | z), [N, ...]


def latents_given_pixels(densities: LatentDensities, keys: PRNGKey, x: Array, known: Array, num: int) -> Any:
    """Draw latents of p(z | known pixels), approximately: exactly in the limit of many draws.

      z_s ~ m(z) = a p(z) + (1 - a) 1/G sum_g q(z | x_g),    w_s = p(known | z_s) p(z_s) / m(z_s)

    and z is z_s with a probability in proportion to w_s. The images x_g have the known pixels, and unknown ones of
    guesses: latents that were drawn so in the round before, the first of them of the prior. If q(z | x) is the
    posterior and there are many guesses, m is p(z | known) and the weights are equal.

    Args:
      densities: of the model.
      keys: [B].
      x: images [B, H, W, C]; unknown pixels may have any values.
      known: which pixels are, [B, H, W].
      num: latents of each image.

    Returns:
      z [num, B, ...], all of one set of draws; fewer are the first ones of more.

    References:
      Rubin, "The Calculation of Posterior Distributions by Data Augmentation: Comment", 1987 (resampling).
      Veach & Guibas, "Optimally Combining Sampling Techniques", 1995 (weights of a mixture of proposals).
      Mattei & Frellsen, "MIWAE", 2019, arXiv:1812.02633 (importance weights of a VAE given some of the pixels).
    """
    check_keys(keys, len(x))
    # All keys at once: each place where keys are derived takes a good part of a second to compile.
    *of_rounds, last = _split(keys, (*_OF_ROUNDS, num))
    z, log_weights, _ = _after_rounds(densities, of_rounds, x, known)
    uniform = over_pairs(jax.vmap(jax.random.uniform), last)  # [num, B]
    cumulative = jnp.cumsum(jax.nn.softmax(log_weights, axis=0), axis=0)
    chosen = jnp.sum(cumulative[None] < uniform[:, None] * cumulative[-1][None, None], axis=1)
    return jax.tree.map(functools.partial(_take, chosen), z)


def log_known_pixels(densities: LatentDensities, keys: PRNGKey, x: Array, known: Array, num: int) -> Array:
    """Return log p(known pixels), and what `log_known` adds, of images, [B] nats, by importance sampling.

      log p(known) ~ log 1/S sum_s w_s,    w_s = p(known | z_s) p(z_s) / m(z_s)

    m is the mixture of `latents_given_pixels` after its last round. Its guesses do not depend on the z_s, so that the
    estimate is a lower bound in expectation, whose gap closes with S.

    Args:
      densities: of the model.
      keys: [B].
      x: images [B, H, W, C]; unknown pixels may have any values.
      known: which pixels are, [B, H, W].
      num: S, rounded up to a multiple of 256.
    """
    check_keys(keys, len(x))
    num_chunks = -(-num // DRAWS)
    sizes = GUESSES, num_chunks * GUESSES, num_chunks * _OF_PRIOR
    *of_rounds, of_images, of_posterior, of_prior = _split(keys, (*_OF_ROUNDS, *sizes))
    z, log_weights, noise = _after_rounds(densities, of_rounds, x, known)
    filled = _filled(densities, of_images, z, log_weights + noise, x, known)

    def one_chunk(keys: tuple[PRNGKey, PRNGKey]) -> Array:
        of_posterior, of_prior = keys
        prior = over_pairs(densities.draw_prior, of_prior)
        return jax.nn.logsumexp(_weighed(densities, of_posterior, filled, prior)[1], axis=0)

    in_chunks = lambda keys: keys.reshape(num_chunks, -1, len(x))  # noqa: E731
    sums = lax.map(one_chunk, (in_chunks(of_posterior), in_chunks(of_prior)))
    return jax.nn.logsumexp(sums, axis=0) - jnp.log(float(num_chunks * DRAWS))


def split_ahead(keys: PRNGKey, num: int) -> PRNGKey:
    """Return `num` keys for every key, [B] -> [num, B]; fewer are the first ones of more."""
    return jax.vmap(lambda index: jax.vmap(jax.random.fold_in, (0, None))(keys, index))(jnp.arange(num))


def over_pairs(function: Callable[..., Any], *arguments: Any) -> Any:
    """Apply a function of arrays [N, ...] to arrays [S, B, ...] as if these had one axis of N = S B.

    Draws of many keys compile faster along one axis than along two.
    """
    num, batch = jax.tree.leaves(arguments)[0].shape[:2]
    flat = jax.tree.map(lambda leaf: leaf.reshape(num * batch, *leaf.shape[2:]), arguments)
    return jax.tree.map(lambda leaf: leaf.reshape(num, batch, *leaf.shape[1:]), function(*flat))


# ---------- private

_OF_ROUNDS = (1, DRAWS + _OF_PRIOR, ROUNDS * 2 * GUESSES)  # keys of an image that `_after_rounds` takes


def _split(keys: PRNGKey, sizes: tuple[int, ...]) -> list[PRNGKey]:
    """Keys in parts, [B] -> [size, B] of each size."""
    return jnp.split(split_ahead(keys, sum(sizes)), np.cumsum(sizes)[:-1].tolist())


def _after_rounds(densities: LatentDensities, keys: list[PRNGKey], x: Array, known: Array) -> tuple[Any, Array, Array]:
    """Latents [S, B, ...] with their log-weights [S, B] after the last round, and Gumbel noise for one more."""
    choice, of_prior, of_rounds = keys
    from_prior = over_pairs(densities.draw_prior, of_prior)
    z = jax.tree.map(lambda leaf: leaf[:DRAWS], from_prior)
    held_out = jax.tree.map(lambda leaf: leaf[DRAWS:], from_prior)
    noise = jax.vmap(lambda key: jax.random.gumbel(key, (ROUNDS, DRAWS)), out_axes=2)(choice[0])

    def one_round(carry: tuple[Any, Array], inputs: tuple[Array, ...]) -> tuple[tuple[Any, Array], None]:
        (z, log_weights), (index, each, noise) = carry, inputs
        filled = _filled(densities, each[:GUESSES], z, log_weights + noise, x, known)
        z, log_weights = _weighed(densities, each[GUESSES:], filled, held_out)
        # Those of the prior count in the last round alone: before, the guesses would depend on them.
        counts = (jnp.arange(DRAWS) < DRAWS - _OF_PRIOR) | (index == ROUNDS - 1)
        return (z, jnp.where(counts[:, None], log_weights, -jnp.inf)), None

    start = z, densities.log_known(z)
    rounds = jnp.arange(ROUNDS), of_rounds.reshape(ROUNDS, 2 * GUESSES, -1), noise
    (z, log_weights), _ = lax.scan(one_round, start, rounds)
    further = jax.vmap(lambda key: jax.random.gumbel(jax.random.fold_in(key, 1), (DRAWS,)), out_axes=1)(choice[0])
    return z, log_weights, further


def _filled(
    densities: LatentDensities, keys: PRNGKey, z: Any, noisy_log_weights: Array, x: Array, known: Array
) -> Array:
    """The guesses: images [G, B, ...] with unknown pixels of latents that are chosen by their weights."""
    # Without replacement: guesses differ even where one latent has nearly all of the weight.
    chosen = lax.top_k(noisy_log_weights.T, GUESSES)[1].T
    drawn = over_pairs(densities.draw_images, keys, jax.tree.map(functools.partial(_take, chosen), z))
    return jnp.where(known[None, ..., None], x[None], jnp.clip(drawn, 0.0, 1.0))


def _weighed(densities: LatentDensities, keys: PRNGKey, filled: Array, of_prior: Any) -> tuple[Any, Array]:
    """Latents [S, B, ...] and their log-weights [S, B]: of q(z | x) of images [G, B, ...], and given ones of p(z)."""
    draw = lambda keys, x: jax.tree.map(lambda z: jnp.moveaxis(z, 0, 1), densities.draw_posterior(keys, x, _OF_GUESS))  # noqa: E731
    of_images = over_pairs(draw, keys, filled)  # [G, B, S / G, ...]
    joined = lambda z, p: jnp.concatenate([jnp.moveaxis(z, 2, 1).reshape(-1, *p.shape[1:]), p])  # noqa: E731
    z = jax.tree.map(joined, of_images, of_prior)
    log_p = densities.log_prior(z)
    log_q = jax.nn.logsumexp(jax.vmap(lambda x: densities.log_posterior(x, z))(filled), axis=0) - jnp.log(GUESSES)
    share = _OF_PRIOR / DRAWS
    log_m = jnp.logaddexp(jnp.log(share) + log_p, jnp.log1p(-share) + log_q)
    return z, densities.log_known(z) + log_p - log_m


def _take(rows: Array, leaf: Array) -> Array:
    """leaf[rows[i, b], b] of a leaf [S, B, ...], rows [num, B] -> [num, B, ...]."""
    return jnp.take_along_axis(leaf, rows.reshape(*rows.shape, *[1] * (leaf.ndim - 2)), axis=0)
