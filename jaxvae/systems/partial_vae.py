"""VAEs with an encoder of masked images, which is trained beside them: one model completes whatever is missing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxvae.capabilities import Completes, ScoresCompletions
from jaxvae.data import to_unit
from jaxvae.data.random_masks import random_masks
from jaxvae.errors import UserError
from jaxvae.evaluation.likelihood import importance_estimate
from jaxvae.keys import split_each
from jaxvae.models import VAE
from jaxvae.models.partial_posterior import PartialPosterior
from jaxvae.sampling.given_pixels import split_ahead
from jaxvae.systems.assemble import assembled
from jaxvae.systems.negative_bound import Bound, NegativeBound
from jaxvae.systems.vae_completion import PIXELS, KnownPixels, can_complete, never_exact
from jaxvae.systems.vae_parts import VAEParts
from jaxvae.types import (
    Array,
    Batch,
    DataSpec,
    ELBOTerms,
    Metrics,
    ModelState,
    Params,
    Player,
    Prepare,
    PRNGKey,
    Samples,
    StepInput,
    System,
)


class HasPartialPosterior(NamedTuple):
    """Draws latents given some of the pixels, by an encoder of masked images."""

    # (params, model_state, keys [B], prepared x, known [B, H, W]) -> z [B, D]
    draw: Callable[[Params, ModelState, PRNGKey, Array, Array], Array]

    verb = "draw latents given some of the pixels"
    kinds = "VAEs with an encoder of masked images"


NAME = "partial"  # of its parameters, beside those of the VAE
CANDIDATES = 16  # latents of which one becomes a completion
_MASKS, _LATENTS = 0x6D61736B, 0x6C617465  # folded into an example's key: what the VAE draws is as without


@dataclass(frozen=True, eq=False)
class PartialVAEParts(VAEParts):
    """The parts of a VAE and of its encoder of masked images.

    Attributes:
      partial: that encoder.
    """

    partial: PartialPosterior = field(kw_only=True)

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return parameters of both."""
        params, state = super().init(key, batch)
        keys = jax.random.split(jax.random.fold_in(key, _MASKS), len(batch.mask))
        x = to_unit(batch.x, self.spec.num_values)
        z = self.draw(params, state, keys, x)[0]
        known = random_masks(keys, *self.spec.shape[:2])
        return {**params, NAME: self.partial.init(key, x, known, z[None], method="log_prob")["params"]}, state

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return the values of the VAE, and log r(z | known pixels) of masks and latents at random; both are scored."""
        found = super().evaluate(params, model_state, keys, batch, hparams)
        noise, _ = split_each(keys)
        matched = self.matching(params, keys, self.prepare(noise, batch.x))
        return {**found, "loss": found["loss"] - matched, "matching": matched}

    def matching(self, params: Params, keys: PRNGKey, x: Array) -> Array:
        """Return log r(z | known pixels of x), of a random mask and a z of q(z | x) each, [B] nats."""
        masks, latents = (jax.vmap(lambda key: jax.random.fold_in(key, of))(keys) for of in (_MASKS, _LATENTS))  # noqa: B023
        z = self.draw(params, {}, latents, x)[0]
        return self._partial(params, x, random_masks(masks, *x.shape[1:3]), z[None], method="log_prob")[0]

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`; completions are by the encoder of masked images."""
        others = (one for one in super().use if not isinstance(one, Completes | ScoresCompletions))
        scores = ScoresCompletions(self.log_unknown, never_exact)
        return *others, Completes(self.complete), scores, HasPartialPosterior(self.draw_given)

    def draw_given(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array, known: Array) -> Array:
        """Return latents of r(z | known pixels): see `HasPartialPosterior`."""
        return self._partial(params, keys, x, known, self._latent_dim, method="sample")

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
        """Draw the unknown pixels: see `capabilities.Completes`.

        A latent is one of a few of r(z | known), by its weight p(known | z) p(z) / r(z | known).
        """
        several = lambda leaf: jnp.broadcast_to(leaf, (num, *leaf.shape)).reshape(-1, *leaf.shape[1:])  # noqa: E731
        x, known = several(x), several(known)
        each = split_ahead(split_ahead(keys, num).reshape(-1), CANDIDATES + 2)
        draw = lambda keys: self.draw_given(params, model_state, keys, x, known)  # noqa: E731
        z = jax.lax.map(draw, each[:CANDIDATES])  # [C, N, D]
        given = KnownPixels(self.vae, params, x, known)
        log_weights = given.log_known(z) + given.densities().log_prior(z)
        log_weights -= self._partial(params, x, known, z, method="log_prob")
        chosen = jax.vmap(jax.random.categorical)(each[CANDIDATES], log_weights.T)
        z = z[chosen, jnp.arange(len(x))]
        drawn, means = given.draw_images(each[-1], z), jax.vmap(self.vae.likelihood.mean)(given.of_pixels(z))
        kept = (jnp.where(known[..., None], x, images) for images in (drawn, means))
        return Samples(*(images.reshape(num, -1, *images.shape[1:]) for images in kept))

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
        """Return log p(unknown pixels | known ones): see `capabilities.ScoresCompletions`.

          log p(unknown | known) = log int r(z | known) p(unknown | z) dz
                                >= E[log 1/S sum_s r(z_s | known) p(unknown | z_s) / q(z_s | x)],    z_s ~ q(z | x)

        of a model whose latents are draws of r(z | known): a lower bound in expectation.
        """
        unknown = KnownPixels(self.vae, params, x, ~known)

        def terms(keys: PRNGKey) -> ELBOTerms:
            z = self._apply(params, keys, x, 1, method="draw")
            log_r = self._partial(params, x, known, z, method="log_prob")
            log_q = self._apply(params, x, z, method="log_posterior")
            return ELBOTerms(unknown.log_known(z) - unknown.log_blank()[None], log_r[..., None], log_q[..., None])

        return importance_estimate(terms, keys, num, max(1, PIXELS // x.size)).log_likelihood

    def _partial(self, params: Params, *args: Any, method: str) -> Any:
        return self.partial.apply({"params": params[NAME]}, *args, method=method)

    @property
    def _latent_dim(self) -> int:
        vae: Any = self.vae
        return vae.posterior.latent_dim


@dataclass(frozen=True, eq=False)
class NegativeMatching:
    """The loss of the encoder of masked images: the mean of -log r(z | known pixels)."""

    parts: PartialVAEParts

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, _ = split_each(inputs.keys.examples)
        x = self.parts.prepare(noise, inputs.batch.x)
        matched = jnp.mean(self.parts.matching(params, inputs.keys.examples, x))
        return -matched, (model_state, {"matching": matched})


def partial_vae_system(
    *,
    name: str,
    spec: DataSpec,
    vae: VAE,
    partial: PartialPosterior,
    prepare: Prepare,
    bound: Bound,
    optimizers: tuple[optax.GradientTransformation, optax.GradientTransformation],
    hparams: Mapping[str, float] | None = None,
) -> System:
    """Return the system that maximises a bound of a VAE, and beside it the match of its encoder of masked images.

    Args:
      name: of the system.
      spec: of the data.
      vae: the model, which is trained as if it were alone.
      partial: its encoder of masked images.
      prepare: the preprocessing of images: binarises or scales them.
      bound: the training objective of the VAE.
      optimizers: of the VAE, and of the encoder of masked images.
      hparams: starting values of what the bound reads from `StepInput.hparams`.

    Returns:
      The system.

    Raises:
      UserError: if the VAE's pixels depend on each other, or it is conditional on classes.
    """
    if not can_complete(vae, spec) or vae.num_classes:
        raise UserError(f"{name} completes images by a VAE of independent pixels that is not conditional on classes.")
    parts = PartialVAEParts(spec, vae, prepare, partial=partial)
    of_vae, of_partial = optimizers
    players = [
        Player("vae", NegativeBound(prepare, bound), of_vae, owns=_is_of_vae),
        Player(NAME, NegativeMatching(parts), of_partial, owns=_is_of_partial),
    ]
    return assembled(name, parts, players, hparams=hparams)


# ---------- private


def _is_of_partial(name: str) -> bool:
    return name == NAME


def _is_of_vae(name: str) -> bool:
    return name != NAME
