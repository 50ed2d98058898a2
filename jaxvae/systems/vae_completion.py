"""Completion of images by VAEs: latents given the known pixels, and the unknown pixels of these latents."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.likelihoods.scoring import has_independent_pixels, score_images
from jaxvae.models import VAE
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.posteriors import FlowPosterior, MatchedPosterior
from jaxvae.sampling import LatentDensities, latents_given_pixels
from jaxvae.sampling.given_pixels import over_pairs, split_ahead
from jaxvae.types import Array, DataSpec, Params, PRNGKey, Samples

PIXELS = 78_400  # decoded at a time: what is computed of them stays in a processor's caches
NEEDED = ("draw_prior", "log_prior", "draw", "log_posterior")  # of a model, beside `decode`


def can_complete(model: Any, spec: DataSpec) -> bool:
    """Return whether a model scores its latents and has pixels that are independent given these."""
    scores = all(hasattr(model, name) for name in NEEDED)
    by_pixel = not isinstance(model.decoder, AutoregressiveDecoder)
    return scores and by_pixel and has_independent_pixels(model.likelihood, spec.shape)


def complete_images(model: Any, params: Params, keys: PRNGKey, x: Array, known: Array, num: int) -> Samples:
    """Complete images by latents given their known pixels.

    Args:
      model: a VAE, or a hierarchical one.
      params: its parameters.
      keys: [B].
      x: prepared images [B, H, W, C]; unknown pixels may have any values.
      known: which pixels are, [B, H, W].
      num: of completions.

    Returns:
      Images with unknown pixels drawn of p(x | z), and with E[x | z] there, [num, B, H, W, C].
    """
    proposal, apply = proposal_of(model), functools.partial(model.apply, {"params": params})
    latents, *pixels = split_ahead(keys, 1 + num)
    blank = jnp.where(known[..., None], x, 0.0)

    def of_pixels(z: Any) -> Any:
        return apply(z[0] if isinstance(z, tuple) else z, method="decode")

    def log_known(z: Any) -> Array:
        num, most = len(jax.tree.leaves(z)[0]), max(1, PIXELS // x.size)
        size = max(size for size in range(1, num + 1) if num % size == 0 and size <= most)
        parts = jax.tree.map(lambda leaf: leaf.reshape(num // size, size, *leaf.shape[1:]), z)
        return jax.lax.map(some_log_known, parts).reshape(num, len(x))

    def some_log_known(z: Any) -> Array:
        # Unknown pixels are all of the same parameters: they add the same to all latents of an image.
        of_known = jax.tree.map(lambda leaf: jnp.where(_as_pixels(known, leaf), leaf, 0.0), of_pixels(z))
        return jax.vmap(lambda of_x: score_images(model.likelihood, of_x, blank))(of_known)

    def draw_images(keys: PRNGKey, z: Any) -> Array:
        return jax.vmap(model.likelihood.sample)(keys, of_pixels(z))

    densities = LatentDensities(
        draw_prior=lambda keys: apply(keys, method="draw_prior"),
        log_prior=lambda z: apply(z, method="log_prior"),
        draw_posterior=lambda keys, x, num: proposal.apply({"params": params}, keys, x, num, method="draw"),
        log_posterior=lambda x, z: proposal.apply({"params": params}, x, z, method="log_posterior"),
        log_known=log_known,
        draw_images=draw_images,
    )
    z = latents_given_pixels(densities, latents, x, known, num)
    drawn = over_pairs(draw_images, jnp.stack(pixels), z)
    means = over_pairs(jax.vmap(model.likelihood.mean), of_pixels(z))
    return Samples(*(jnp.where(known[None, ..., None], x[None], images) for images in (drawn, means)))


def proposal_of(model: Any) -> Any:
    """Return the model with a q(z | x) that scores any latents: a flow may have no inverse, or a slow one."""
    if isinstance(model, VAE) and isinstance(model.posterior, FlowPosterior):
        return model.clone(posterior=MatchedPosterior(model.posterior))
    return model


# ---------- private


def _as_pixels(known: Array, leaf: Array) -> Array:
    """Which pixels are known, [B, H, W], for parameters [S, B, H, W, ...]."""
    return known.reshape(1, *known.shape, *[1] * (leaf.ndim - 4))
