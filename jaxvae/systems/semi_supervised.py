"""M2 as a system: a semi-supervised VAE of partly labelled images, or of their latents (M1 + M2)."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import optax

from jaxvae import capabilities, distributions
from jaxvae.data import to_unit
from jaxvae.keys import split_each
from jaxvae.models import ClassTerms, SemiSupervisedVAE, class_bound, with_output_bias
from jaxvae.systems.assemble import assembled
from jaxvae.systems.classifier import class_scores
from jaxvae.systems.first_stage import variables_or_zeros
from jaxvae.systems.tokens import classes_in_turn
from jaxvae.types import (
    Array,
    Batch,
    Corrupt,
    DataSpec,
    GaussianParams,
    Metrics,
    ModelState,
    Params,
    Parts,
    Player,
    Prepare,
    PRNGKey,
    Samples,
    StepInput,
    System,
)

MIN_SCALE = 0.1  # of latents that M2 is of, whose prior has 1: what hardly varies is not to be made large
# (terms of the bound, classes [B], hparams and axis of replicas) -> loss [], metrics [] each
ClassObjective = Callable[[ClassTerms, Array, StepInput], tuple[Array, Metrics]]


class LatentParts(Parts, Protocol):
    """Parts of a VAE with a Gaussian posterior: the first stage of M1 + M2."""

    def posterior(self, params: Params, model_state: ModelState, x: Array) -> GaussianParams:
        """Return q(z | x): see `capabilities.Infers`."""
        ...

    def decode(self, params: Params, model_state: ModelState, keys: PRNGKey, z: Array) -> Array:
        """Return images of latents: see `capabilities.Decodes`."""
        ...


@dataclass(frozen=True, eq=False)
class M2Parts:
    """The parts of M2, or of M1 + M2, with its capabilities as methods.

    Attributes:
      spec: of the data.
      model: of images, or of the latents of `first_stage`.
      prepare: the preprocessing of images: binarises or scales them.
      first_stage: M1, a VAE of images. Its latents are drawn anew at every visit and standardised as those of a first
        batch are; its parameters are part of the model state. None where M2 is of images.
      latent_noise: of the latents of M1, in their standard deviations; 1 in the paper, 0 takes their means.
    """

    spec: DataSpec
    model: SemiSupervisedVAE
    prepare: Prepare
    first_stage: LatentParts | None = None
    latent_noise: float = 1.0

    def init(
        self, key: PRNGKey, batch: Batch, variables: tuple[Params, ModelState] | None = None
    ) -> tuple[Params, ModelState]:
        """Return parameters, and the mean and scale by which latents are standardised.

        Args:
          key: of the parameters.
          batch: images, or q(z | x) of them.
          variables: parameters and state of M1; None where shapes are enough.
        """
        params_key, draw = jax.random.split(key)
        keys = jax.random.split(draw, batch.mask.shape[0])
        x, model_state = self.prepared(keys, batch.x), {}
        if self.first_stage is not None:
            model_state = variables_or_zeros(self.first_stage, variables)
            q = self.latents(model_state, x)
            mean_of = functools.partial(jnp.average, axis=0, weights=batch.mask, keepdims=True)
            center = mean_of(q.mean)
            # Of what M2 is of, noise included: most of a latent that says nothing of the images is noise.
            variance = mean_of(jnp.square(q.mean - center) + self.latent_noise**2 * jnp.exp(q.log_var))
            scale = jnp.maximum(jnp.sqrt(variance), MIN_SCALE)
            model_state = {**model_state, "center": center, "scale": scale}
        params = self.model.init(params_key, keys, self.modelled(model_state, keys, x))["params"]
        if self.first_stage is None:
            mean = jnp.average(to_unit(batch.x, self.spec.num_values), axis=0, weights=batch.mask)
            params = with_output_bias(params, self.model.likelihood, mean)
        return params, model_state

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return the bound of every image as an unlabelled one, and the cross-entropy and error of its class."""
        noise, draw = split_each(keys)
        x = self.prepare(noise, batch.x)
        bound = class_bound(self.terms(params, model_state, draw, x), jnp.full_like(batch.labels, -1))
        log_q = self.classify(params, model_state, draw, x)
        return {"loss": -bound, "bound": bound, **class_scores(log_q, batch.labels)}

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`."""
        return (
            capabilities.Classifies(self.classify),
            capabilities.Generates(self.sample),
            capabilities.GeneratesClasses(self.spec.num_classes, self.sample_classes),
            capabilities.GeneratesTempered(self.sample_tempered),
            capabilities.TransfersStyle(self.analogies),
        )

    def classify(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
        """Return log q(y | x), of latents without noise: see `capabilities.Classifies`."""
        return self._apply(params, self.expected(model_state, x), method="classify")

    def sample(self, key: PRNGKey, params: Params, model_state: ModelState, num: int) -> Samples:
        """Sample styles and decode them with class 0, 1, ..., 0, 1, ...; the images are means."""
        return self.sample_classes(key, params, model_state, classes_in_turn(num, self.spec.num_classes))

    def sample_classes(self, key: PRNGKey, params: Params, model_state: ModelState, labels: Array) -> Samples:
        """Sample styles and decode them with some classes: see `capabilities.GeneratesClasses`."""
        return self.sample_tempered(key, params, model_state, labels, jnp.ones(()))

    def sample_tempered(
        self, key: PRNGKey, params: Params, model_state: ModelState, labels: Array, temperature: Array
    ) -> Samples:
        """Sample styles of N(0, temperature^2 I): see `capabilities.GeneratesTempered`."""
        style, pixels = jax.random.split(key)
        num = len(labels)
        z = temperature * jax.random.normal(style, (num, self.model.posterior.latent_dim))
        images = self.decoded(params, model_state, jax.random.split(pixels, num), z, labels)
        return Samples(images, images)

    def analogies(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array, y: Array) -> Array:
        """Return images of every class in the styles of given images: see `capabilities.TransfersStyle`."""
        z = self._apply(params, self.expected(model_state, x), y, method="style").mean
        every = lambda label: self.decoded(params, model_state, keys, z, jnp.full(len(z), label))  # noqa: E731
        return jnp.stack([every(label) for label in range(self.spec.num_classes)], axis=1)

    def terms(
        self,
        params: Params,
        model_state: ModelState,
        keys: PRNGKey,
        x: Any,
        corrupt: Corrupt | None = None,
    ) -> ClassTerms:
        """Return the terms of the bound of preprocessed images; `corrupt` is for the classifier's input alone."""
        first, draw = split_each(keys)  # of latents or of what the classifier sees, never of both
        seen = None if corrupt is None else corrupt(first, x)
        return self._apply(params, draw, self.modelled(model_state, first, x), seen)

    def decoded(self, params: Params, model_state: ModelState, keys: PRNGKey, z: Array, y: Array) -> Array:
        """Return mean images of styles [N, D] and classes [N]."""
        mean = jax.vmap(self.model.likelihood.mean)(self._apply(params, z, y, method="decode"))
        if self.first_stage is None:
            return mean
        latents = mean * model_state["scale"] + model_state["center"]
        return self.first_stage.decode(model_state["params"], model_state["state"], keys, latents)

    def prepared(self, keys: PRNGKey, x: Array | GaussianParams) -> Array | GaussianParams:
        """Return preprocessed images; q(z | x), given in their place, stays as it is."""
        return x if isinstance(x, GaussianParams) else self.prepare(keys, x)

    def latents(self, model_state: ModelState, x: Array | GaussianParams) -> GaussianParams:
        """Return q(z | x) of M1, unless it is given already."""
        if isinstance(x, GaussianParams):
            return x
        assert self.first_stage is not None
        return self.first_stage.posterior(model_state["params"], model_state["state"], x)

    def modelled(self, model_state: ModelState, keys: PRNGKey, x: Array | GaussianParams) -> Any:
        """Return the input of M2: preprocessed images, or sampled latents of M1."""
        if self.first_stage is None:
            return x
        q = self.latents(model_state, x)
        drawn = jax.vmap(distributions.normal_sample)(keys, q)
        return self._standardized(model_state, q.mean + self.latent_noise * (drawn - q.mean))

    def expected(self, model_state: ModelState, x: Array) -> Array:
        """Return the input of M2 without noise: images, or posterior means of M1."""
        return x if self.first_stage is None else self._standardized(model_state, self.latents(model_state, x).mean)

    def _apply(self, params: Params, *args: Any, **options: Any) -> Any:
        return self.model.apply({"params": params}, *args, **options)

    def _standardized(self, model_state: ModelState, z: Array) -> Array:
        return (z - model_state["center"]) / model_state["scale"]


@dataclass(frozen=True, eq=False)
class ClassLoss:
    """The loss of M2: an objective of the terms of its bound."""

    parts: M2Parts
    objective: ClassObjective
    corrupt: Corrupt | None

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, draw = split_each(inputs.keys.examples)
        x = self.parts.prepared(noise, inputs.batch.x)
        terms = self.parts.terms(params, model_state, draw, x, self.corrupt)
        loss, metrics = self.objective(terms, inputs.batch.labels, inputs)
        return loss, (model_state, metrics)


def m2_system(
    *,
    name: str,
    spec: DataSpec,
    model: SemiSupervisedVAE,
    prepare: Prepare,
    objective: ClassObjective,
    optimizer: optax.GradientTransformation,
    hparams: Mapping[str, float] | None = None,
    corrupt: Corrupt | None = None,
    first_stage: LatentParts | None = None,
    first_stage_variables: tuple[Params, ModelState] | None = None,
    latent_noise: float = 1.0,
) -> System:
    """Return the system that trains M2 on partly labelled images; the label -1 means unlabelled.

    Departs from the paper in that q(y | x), also within the bound of an image without a class, may be of the image
    corrupted; that a batch has more images with a class than the data, by repetition, so that their bounds weigh more;
    and that latents are those of images as they are, standardised, with `latent_noise` of the noise of q(z | x). The
    bound is then one of the log density of these standardised latents, in units that differ from draw to draw, and none
    of log p(x).

    Args:
      name: of the system.
      spec: of the data.
      model: of images, or of the latents of `first_stage`.
      prepare: the preprocessing of images: binarises or scales them.
      objective: the loss, of the terms of the bound.
      optimizer: of the loss.
      hparams: starting values of what the objective reads from `StepInput.hparams`.
      corrupt: what q(y | x) sees of images that it learns from; all else sees them as they are. None corrupts nothing.
      first_stage: M1, a VAE of images with a Gaussian posterior. Training images may be given as q(z | x) of them,
        `GaussianParams`.
      first_stage_variables: its parameters and state, which stay as they are; None where shapes are enough.
      latent_noise: of the latents of M1, in their standard deviations; 1 in the paper, 0 takes their means.

    Returns:
      The system.

    Raises:
      ValueError: if latents were to be corrupted.
    """
    if corrupt is not None and first_stage is not None:
        raise ValueError("corrupt is of images, which M2 of latents does not see: expected None.")
    parts = M2Parts(spec, model, prepare, first_stage, latent_noise)
    init = functools.partial(parts.init, variables=first_stage_variables)
    player = Player("m2", ClassLoss(parts, objective, corrupt), optimizer)
    return assembled(name, parts, [player], hparams=hparams, init=init)
