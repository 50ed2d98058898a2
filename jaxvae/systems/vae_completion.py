"""Completion of images by VAEs: latents given the known pixels, and the unknown pixels of these latents."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.capabilities import Completes, ScoresCompletions
from jaxvae.likelihoods.scoring import has_independent_pixels, score_images, score_pixels
from jaxvae.models import VAE, given_labels
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.posteriors import FlowPosterior, MatchedPosterior
from jaxvae.sampling import LatentDensities, latents_given_pixels, log_known_pixels
from jaxvae.sampling.given_pixels import over_pairs, split_ahead
from jaxvae.types import Array, DataSpec, ModelState, Params, PRNGKey, Samples

PIXELS = 78_400  # decoded at a time: what is computed of them stays in a processor's caches
NEEDED = ("draw_prior", "log_prior", "draw", "log_posterior")  # of a model, beside `decode`


def can_complete(model: Any, spec: DataSpec) -> bool:
    """Return whether a model scores its latents and has pixels that are independent given these."""
    scores = all(hasattr(model, name) for name in NEEDED)
    by_pixel = not isinstance(model.decoder, AutoregressiveDecoder)
    return scores and by_pixel and has_independent_pixels(model.likelihood, spec.shape)


@dataclass(frozen=True, eq=False)
class VAECompletion:
    """What a VAE that scores its latents does with images of which some pixels are known."""

    vae: Any

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`."""
        num_classes = getattr(self.vae, "num_classes", 0)
        return Completes(self.complete, num_classes), ScoresCompletions(self.log_unknown, never_exact, num_classes)

    def complete(
        self,
        params: Params,
        model_state: ModelState,
        keys: PRNGKey,
        x: Array,
        labels: Array | None,
        known: Array,
        num: int,
    ) -> Samples:
        """Draw the unknown pixels by latents given the known ones: see `capabilities.Completes`."""
        return complete_images(self.vae, params, keys, x, known, num, labels)

    def log_unknown(
        self,
        params: Params,
        model_state: ModelState,
        keys: PRNGKey,
        x: Array,
        labels: Array | None,
        known: Array,
        num: int,
    ) -> Array:
        """Return log p(unknown pixels | known ones): see `capabilities.ScoresCompletions`."""
        return log_unknown_pixels(self.vae, params, keys, x, known, num, labels)


def never_exact(known: Any) -> np.ndarray:
    """Return for which masks, [N, H, W], completions by latents are exact: for none, whatever their number, [N]."""
    return np.zeros(len(known), bool)


def complete_images(
    model: Any, params: Params, keys: PRNGKey, x: Array, known: Array, num: int, labels: Array | None = None
) -> Samples:
    """Complete images by latents given their known pixels.

    Args:
      model: a VAE, or a hierarchical one.
      params: its parameters.
      keys: [B].
      x: prepared images [B, H, W, C]; unknown pixels may have any values.
      known: which pixels are, [B, H, W].
      num: of completions.
      labels: classes [B], of a VAE that is conditional on these.

    Returns:
      Images with unknown pixels drawn of p(x | z), and with E[x | z] there, [num, B, H, W, C].
    """
    given, (latents, *pixels) = KnownPixels(model, params, x, known, labels), split_ahead(keys, 1 + num)
    z = latents_given_pixels(given.densities(), latents, x, known, num)
    drawn = over_pairs(given.draw_images, jnp.stack(pixels), z)
    means = over_pairs(jax.vmap(model.likelihood.mean), given.of_pixels(z))
    return Samples(*(jnp.where(known[None, ..., None], x[None], images) for images in (drawn, means)))


def log_unknown_pixels(
    model: Any, params: Params, keys: PRNGKey, x: Array, known: Array, num: int, labels: Array | None = None
) -> Array:
    """Return log p(unknown pixels | known pixels) of whole images, [B] nats, by importance sampling.

      log p(unknown | known) = log p(x) - log p(known)

    both by S latents, see `log_known_pixels`: where all is known, an eighth of the prior and the others of q(z | x). It
    is right in the limit of many, and no bound: what the second estimate is too low makes it too high.

    Args:
      model: a VAE, or a hierarchical one.
      params: its parameters.
      keys: [B].
      x: prepared images [B, H, W, C].
      known: which pixels are, [B, H, W].
      num: S, rounded up to a multiple of 256.
      labels: classes [B], of a VAE that is conditional on these.
    """

    def log_p(known: Array) -> Array:
        given = KnownPixels(model, params, x, known, labels)
        return log_known_pixels(given.densities(), keys, x, known, num) - given.log_blank()

    return log_p(jnp.ones_like(known)) - log_p(known)


def proposal_of(model: Any) -> Any:
    """Return the model with a q(z | x) that scores any latents: a flow may have no inverse, or a slow one."""
    if isinstance(model, VAE) and isinstance(model.posterior, FlowPosterior):
        return model.clone(posterior=MatchedPosterior(model.posterior))
    return model


@dataclass(frozen=True, eq=False)
class KnownPixels:
    """A model and B images of which some pixels are known.

    Attributes:
      model: a VAE, or a hierarchical one.
      params: its parameters.
      x: prepared images [B, H, W, C]; unknown pixels may have any values.
      known: which pixels are, [B, H, W].
      labels: classes [B], of a VAE that is conditional on these.
    """

    model: Any
    params: Params
    x: Array
    known: Array
    labels: Array | None = None

    def densities(self) -> LatentDensities:
        """Return the densities of the model and of these images."""
        proposal, num = proposal_of(self.model), len(self.x)
        return LatentDensities(
            draw_prior=lambda keys: self._apply(self.model, "draw_prior", len(keys), keys),
            log_prior=lambda z: self._apply(self.model, "log_prior", num, z),
            draw_posterior=lambda keys, x, each: self._apply(proposal, "draw", len(keys), keys, x, each),
            log_posterior=lambda x, z: self._apply(proposal, "log_posterior", num, x, z),
            log_known=self.log_known,
            draw_images=self.draw_images,
        )

    def of_pixels(self, z: Any) -> Any:
        """Return the likelihood's parameters of latents [S, B, ...] or [N, ...]."""
        decoded = z[0] if isinstance(z, tuple) else z
        return self._apply(self.model, "decode", len(decoded) if decoded.ndim == 2 else len(self.x), decoded)

    def draw_images(self, keys: PRNGKey, z: Any) -> Array:
        """Return draws of p(x | z), keys [N] and z [N, ...]."""
        return jax.vmap(self.model.likelihood.sample)(keys, self.of_pixels(z))

    def log_known(self, z: Any) -> Array:
        """Return log p(known | z) and the same constant for all latents of an image, [S, B]."""
        num, most = len(jax.tree.leaves(z)[0]), max(1, PIXELS // self.x.size)
        size = max(size for size in range(1, num + 1) if num % size == 0 and size <= most)
        parts = jax.tree.map(lambda leaf: leaf.reshape(num // size, size, *leaf.shape[1:]), z)
        return jax.lax.map(self._some_log_known, parts).reshape(num, len(self.x))

    def log_blank(self) -> Array:
        """Return what `log_known` adds for the unknown pixels of every image, [B]."""
        blank = jnp.where(self.known[..., None], self.x, 0.0)
        shapes = self.model.likelihood.param_shapes(self.x.shape[1:])
        zeros = jax.tree.map(lambda leaf: jnp.zeros((len(blank), *leaf.shape)), shapes)
        return jnp.sum(jnp.where(self.known, 0.0, score_pixels(self.model.likelihood, zeros, blank)), axis=(1, 2))

    def _some_log_known(self, z: Any) -> Array:
        # Unknown pixels are all of the same parameters: they add the same to all latents of an image.
        blank = jnp.where(self.known[..., None], self.x, 0.0)
        of_known = jax.tree.map(lambda leaf: jnp.where(_as_pixels(self.known, leaf), leaf, 0.0), self.of_pixels(z))
        return jax.vmap(lambda of_x: score_images(self.model.likelihood, of_x, blank))(of_known)

    def _apply(self, model: Any, method: str, num: int, *args: Any) -> Any:
        """A method of a model, of `num` latents or images in a row, which are of the images in turn."""
        classes = None if self.labels is None else jnp.tile(self.labels, num // len(self.x))
        return model.apply({"params": self.params}, *args, method=method, **given_labels(model, classes))


# ---------- private


def _as_pixels(known: Array, leaf: Array) -> Array:
    """Which pixels are known, [B, H, W], for parameters [S, B, H, W, ...]."""
    return known.reshape(1, *known.shape, *[1] * (leaf.ndim - 4))
