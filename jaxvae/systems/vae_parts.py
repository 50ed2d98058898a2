"""VAEs as systems, with one group of latents or several; the bound that is maximised is the experiment's."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxvae import capabilities, codable, objectives
from jaxvae.data import to_unit
from jaxvae.errors import UserError
from jaxvae.keys import split_each
from jaxvae.labelled import labels_of, values_of
from jaxvae.likelihoods.scoring import has_independent_pixels, perfect_pixels, score_pixels
from jaxvae.models import VAE, LatentVariableModel, draw_images, given_labels, parameters_of, with_output_bias
from jaxvae.posteriors import UniformPosterior
from jaxvae.systems.assemble import assembled
from jaxvae.systems.latent_chains import latent_chain
from jaxvae.systems.negative_bound import Bound, NegativeBound
from jaxvae.systems.pixels import prepared_values
from jaxvae.systems.tokens import classes_in_turn
from jaxvae.systems.vae_completion import VAECompletion, can_complete
from jaxvae.systems.vae_prior import can_temper, prior_quantiles
from jaxvae.types import (
    Array,
    Batch,
    DataSpec,
    ELBOTerms,
    GaussianParams,
    Metrics,
    ModelState,
    Params,
    Player,
    Prepare,
    PRNGKey,
    Samples,
    System,
)

MEAN_SAMPLES = 100  # of q(z | x) for its mean, where that has no closed form
Score = Callable[[ELBOTerms, Mapping[str, Array]], Array]  # (terms [S, B], hparams) -> [B]


def elbo_score(terms: ELBOTerms, hparams: Mapping[str, Array]) -> Array:
    """Return the ELBO as the validation score, larger is better."""
    del hparams
    return objectives.elbo(terms)


def beta_elbo_score(terms: ELBOTerms, hparams: Mapping[str, Array]) -> Array:
    """Return the ELBO with the KL weighted by `beta`."""
    return objectives.elbo(terms, hparams["beta"])


def iwae_score(terms: ELBOTerms, hparams: Mapping[str, Array]) -> Array:
    """Return the importance weighted bound."""
    del hparams
    return objectives.iwae(terms)


@dataclass(frozen=True, eq=False)
class VAEParts:
    """The parts of a VAE, with its capabilities as methods.

    Attributes:
      spec: of the data.
      vae: the model.
      prepare: the preprocessing of images: binarises or scales them.
      score: the validation score, larger is better.
      num_samples: S, latents per example in validation.
    """

    spec: DataSpec
    vae: LatentVariableModel
    prepare: Prepare
    score: Score = elbo_score
    num_samples: int = 1

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return parameters whose output bias is the mean image."""
        params_key, draw = jax.random.split(key)
        x = to_unit(batch.x, self.spec.num_values)
        keys = jax.random.split(draw, batch.mask.shape[0])
        given = self._given(jnp.zeros(len(keys), jnp.int32))  # no parameter starts by the classes
        params = self.vae.init(params_key, keys, x, **given)["params"]
        mean = jnp.average(x, axis=0, weights=batch.mask)
        return with_output_bias(params, self.vae.likelihood, mean), {}

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return the validation score and the terms of the ELBO of every image, nats."""
        noise, draw = split_each(keys)
        x, given = self.prepare(noise, batch.x), self._given(batch.labels)
        metrics = {}
        if self.vae.has_closed_kl:
            sampled, q = self._apply(params, draw, x, self.num_samples, method="terms_and_stats", **given)
            metrics["kl_per_dimension"] = self._apply(params, q, method="closed_kl")
        elif hasattr(self.vae, "kl_per_group"):
            sampled, q = self._apply(params, draw, x, self.num_samples, method="terms_and_stats")
            metrics["kl_per_group"] = self._apply(params, sampled, q, method="kl_per_group")
        else:
            sampled = self._apply(params, draw, x, self.num_samples, **given)
        elbo = objectives.elbo(sampled)
        reconstruction = -jnp.mean(sampled.log_px, axis=0)
        return {
            **metrics,
            "loss": -self.score(sampled, hparams),
            "elbo": elbo,
            "reconstruction": reconstruction,
            "kl": -elbo - reconstruction,
        }

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`."""
        common = (
            capabilities.Generates(self.sample),
            capabilities.Encodes(self.encode),
            capabilities.Decodes(self.decode),
            capabilities.HasPrior(self.quantiles),
            capabilities.Scores(self.terms, self.vae.likelihood.discrete),
        )
        groups = getattr(self.vae, "group_shapes", ())
        able = (
            (capabilities.Infers(self.posterior), self.vae.has_gaussian_posterior),
            (capabilities.DrawsPosterior(self.draw), hasattr(self.vae, "draw")),
            (capabilities.ScoresPixels(self.log_pixels, self.perfect), self._can_score_pixels),
            (capabilities.HasJoint(self.log_joint), isinstance(self.vae, VAE)),
            (capabilities.GivenClasses(self.num_classes), self.num_classes > 0),
            (capabilities.GeneratesClasses(self.num_classes, self.sample_classes), self.num_classes > 0),
            (capabilities.GeneratesTempered(self.sample_tempered, max(1, len(groups))), can_temper(self.vae)),
            (capabilities.HasGroups(groups, self.draw_prior), bool(groups)),
            (codable.HasRoundedLatents(self.rounded, self.mixture), self._is_rounded),
            *((one, can_complete(self.vae, self.spec)) for one in VAECompletion(self.vae).use),
        )
        chain = latent_chain(self.vae, self.spec)
        found = (capability for capability, holds in able if holds)
        return (*common, *found, *([] if chain is None else [chain]))

    @property
    def num_classes(self) -> int:
        """K, of a model that is conditional on classes; 0 of others."""
        return getattr(self.vae, "num_classes", 0)

    def sample(self, key: PRNGKey, params: Params, model_state: ModelState, num: int) -> Samples:
        """Sample images from the prior, of the classes in turn: see `capabilities.Generates`."""
        return self.sample_classes(key, params, model_state, classes_in_turn(num, self.num_classes))

    def sample_classes(self, key: PRNGKey, params: Params, model_state: ModelState, labels: Array) -> Samples:
        """Sample images of some classes from the prior: see `capabilities.GeneratesClasses`."""
        latents, pixels = split_each(jax.random.split(key, len(labels)))
        z = self._apply(params, latents, method="prior_latents", **self._given(labels))
        return draw_images(self.vae, params, pixels, z, labels)

    def sample_tempered(
        self, key: PRNGKey, params: Params, model_state: ModelState, labels: Array, temperature: Array
    ) -> Samples:
        """Sample images of the prior at a temperature: see `capabilities.GeneratesTempered`."""
        given = self._given(labels)
        latents, pixels = split_each(jax.random.split(key, len(labels)))
        z = self._apply(params, latents, method="prior_latents", **given)
        z = self._apply(params, z, temperature, method="temper", **given)
        return draw_images(self.vae, params, pixels, z, labels)

    def draw_prior(self, params: Params, model_state: ModelState, keys: PRNGKey) -> Array:
        """Return latents of the prior: see `capabilities.HasGroups`."""
        return self._apply(params, keys, method="prior_latents")

    def encode(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Any) -> tuple[Array, ...]:
        """Return posterior means: see `capabilities.Encodes`."""
        return self._of(params, x, keys, values_of(x), MEAN_SAMPLES, method="latent_means")

    def draw(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Any) -> tuple[Array, ...]:
        """Return latents of q(z | x): see `capabilities.DrawsPosterior`."""
        drawn = self._of(params, x, keys, values_of(x), 1, method="draw")
        return tuple(z[0] for z in (drawn if isinstance(drawn, tuple) else (drawn,)))

    def decode(self, params: Params, model_state: ModelState, keys: PRNGKey, z: Any) -> Array:
        """Return images of latents: see `capabilities.Decodes`."""
        images = draw_images(self.vae, params, keys, values_of(z), self._labels(z))
        return images.x if images.mean is None else images.mean

    def quantiles(self, params: Params, model_state: ModelState, probabilities: Array) -> Array:
        """Return the quantiles of the prior: see `capabilities.HasPrior`."""
        return prior_quantiles(self.vae, params, probabilities)

    def terms(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Any) -> ELBOTerms:
        """Return the terms of the bound: see `capabilities.Scores`."""
        return self._of(params, x, keys, values_of(x))

    def log_pixels(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Any) -> Array:
        """Return log p(x_ij | z), of the z that `terms` draws by the same keys: see `capabilities.ScoresPixels`."""
        z, images = self.draw(params, model_state, keys, x)[0], values_of(x)
        of_x = parameters_of(self.vae, params, z, images, self._labels(x))
        return score_pixels(self.vae.likelihood, of_x, images)

    def perfect(self, x: Any) -> Array:
        """Return log p(x_ij) of a perfect reconstruction: see `capabilities.ScoresPixels`."""
        return perfect_pixels(self.vae.likelihood, values_of(x))

    def log_joint(self, params: Params, model_state: ModelState, x: Any, z: Array) -> Array:
        """Return log p(x, z): see `capabilities.HasJoint`."""
        return self._of(params, x, values_of(x), z, method="log_joint")

    def posterior(self, params: Params, model_state: ModelState, x: Any) -> GaussianParams:
        """Return q(z | x): see `capabilities.Infers`."""
        return self._of(params, x, values_of(x), method="encode")

    def rounded(self, params: Params, model_state: ModelState, x: Array) -> Array:
        """Return the means of latents that are rounded: see `codable.HasRoundedLatents`."""
        return self._apply(params, x, method="encode")

    def mixture(self, params: Params, model_state: ModelState) -> Any:
        """Return the prior of latents that are rounded: see `codable.HasRoundedLatents`."""
        return self._apply(params, method=lambda model: model.prior.mixture())

    @property
    def _is_rounded(self) -> bool:
        return isinstance(self.vae, VAE) and isinstance(self.vae.posterior, UniformPosterior)

    @property
    def _can_score_pixels(self) -> bool:
        return hasattr(self.vae, "draw") and has_independent_pixels(self.vae.likelihood, self.spec.shape)

    def _of(self, params: Params, given: Any, *args: Any, **options: Any) -> Any:
        """The model, or a method of it, of images with the classes that these come with."""
        return self._apply(params, *args, **given_labels(self.vae, self._labels(given)), **options)

    def _given(self, labels: Array | None) -> dict[str, Array]:
        return given_labels(self.vae, labels)

    def _labels(self, given: Any) -> Array | None:
        """The classes of images or latents, which a model that is conditional on these cannot do without."""
        labels = labels_of(given)
        if self.num_classes and labels is None:
            last = self.num_classes - 1
            raise UserError(f"The model is conditional on classes: expected labels, one from 0 to {last} each.")
        return labels

    def _apply(self, params: Params, *args: Any, **options: Any) -> Any:
        return self.vae.apply({"params": params}, *args, **options)


def vae_system(
    *,
    name: str,
    spec: DataSpec,
    vae: LatentVariableModel,
    prepare: Prepare,
    bound: Bound,
    optimizer: optax.GradientTransformation,
    hparams: Mapping[str, float] | None = None,
    score: Score = elbo_score,
    num_samples: int = 1,
) -> System:
    """Return the system that maximises a bound of a VAE.

    Args:
      name: of the system.
      spec: of the data.
      vae: the model.
      prepare: the preprocessing of images: binarises or scales them.
      bound: the training objective.
      optimizer: of the negative bound.
      hparams: starting values of what the bound reads from `StepInput.hparams`.
      score: the validation score.
      num_samples: S, latents per example in validation.

    Returns:
      The system.
    """
    if getattr(vae, "num_classes", 0):
        prepare = functools.partial(prepared_values, prepare=prepare)
    parts = VAEParts(spec, vae, prepare, score, num_samples)
    return assembled(name, parts, [Player("vae", NegativeBound(prepare, bound), optimizer)], hparams=hparams)
