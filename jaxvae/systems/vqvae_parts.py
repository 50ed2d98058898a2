"""VQ-VAEs as systems: images encoded as grids of discrete codes; the loss is the experiment's."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax

from jaxvae import capabilities
from jaxvae.data import to_unit
from jaxvae.keys import split_each
from jaxvae.likelihoods.scoring import has_independent_pixels, perfect_pixels, score_pixels
from jaxvae.models import VQVAE, CodedTerms, HierarchicalVQVAE, with_output_bias
from jaxvae.systems.assemble import assembled
from jaxvae.types import (
    Array,
    Batch,
    DataSpec,
    Metrics,
    ModelState,
    Params,
    Player,
    Prepare,
    PRNGKey,
    StepInput,
    StepKeys,
    System,
)

CodedLoss = Callable[[CodedTerms, StepInput], Array]  # -> what is minimised, nats: [B], or its mean []
Temperature = Callable[[Array], Array]  # of a quantizer that has one: (step) -> []


@dataclass(frozen=True, eq=False)
class VQVAEParts:
    """The parts of a VQ-VAE, with its capabilities as methods.

    Attributes:
      spec: of the data.
      model: whose likelihood is of images in [0, 1].
      prepare: the preprocessing of images: binarises or scales them.
      weight: of the quantizers' penalty in the validation loss.
    """

    spec: DataSpec
    model: VQVAE | HierarchicalVQVAE
    prepare: Prepare
    weight: float

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return parameters whose output bias is the mean image, and codebooks initialised by k-means."""
        params_key, noise = jax.random.split(key)
        x = self.prepare(jax.random.split(noise, batch.mask.shape[0]), batch.x)
        state, params = flax.core.pop(self.model.init(params_key, x), "params")
        mean = jnp.average(to_unit(batch.x, self.spec.num_values), axis=0, weights=batch.mask)
        return with_output_bias(params, self.model.likelihood, mean), state

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return the loss and its two terms of every image, nats."""
        noise, _ = split_each(keys)
        terms = self._apply(params, model_state, self.prepare(noise, batch.x))
        return {
            "loss": -terms.log_px + self.weight * terms.penalty,
            "reconstruction": -terms.log_px,
            "penalty": terms.penalty,
        }

    @property
    def num_codes(self) -> tuple[int, ...]:
        """K of every grid, the coarsest first."""
        if isinstance(self.model, VQVAE):
            return (self.model.quantizer.num_codes,)
        return self.model.top_quantizer.num_codes, self.model.quantizer.num_codes

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`."""
        discrete = self.model.likelihood.discrete
        coded = self.encode, self.decode, self.vectors, self.log_px, self.penalty
        codes = (capabilities.Codes(self.num_codes, *coded, discrete),)
        by_pixel = has_independent_pixels(self.model.likelihood, self.spec.shape)
        return (*codes, capabilities.ScoresPixels(self.log_pixels, self.perfect)) if by_pixel else codes

    def encode(self, params: Params, model_state: ModelState, x: Array) -> tuple[Array, ...]:
        """Return the grids of codes of images: see `capabilities.Codes`."""
        return self._apply(params, model_state, x, method="encode")

    def decode(self, params: Params, model_state: ModelState, codes: tuple[Array, ...]) -> Array:
        """Return the images of grids of codes: see `capabilities.Codes`."""
        return jax.vmap(self.model.likelihood.mean)(self._apply(params, model_state, codes, method="decode"))

    def vectors(self, params: Params, model_state: ModelState, codes: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return the vectors of grids of codes: see `capabilities.Codes`."""
        return self._apply(params, model_state, codes, method="vectors")

    def log_px(self, params: Params, model_state: ModelState, x: Array) -> Array:
        """Return log p(x | codes of x): see `capabilities.Codes`."""
        return self._apply(params, model_state, x).log_px

    def penalty(self, params: Params, model_state: ModelState, x: Array) -> Array:
        """Return what the quantizers charge: see `capabilities.Codes`."""
        return self._apply(params, model_state, x).penalty

    def log_pixels(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
        """Return log p(x_ij | codes of x): see `capabilities.ScoresPixels`."""
        of_x = self._apply(params, model_state, self.encode(params, model_state, x), method="decode")
        return score_pixels(self.model.likelihood, of_x, x)

    def perfect(self, x: Array) -> Array:
        """Return log p(x_ij) of a perfect reconstruction: see `capabilities.ScoresPixels`."""
        return perfect_pixels(self.model.likelihood, x)

    def _apply(self, params: Params, model_state: ModelState, *args: Any, **options: Any) -> Any:
        return self.model.apply({"params": params, **model_state}, *args, **options)


@dataclass(frozen=True, eq=False)
class CodedTraining:
    """The training loss, which also updates the codebooks.

    Attributes:
      parts: of the system.
      loss: of the terms of a batch.
      temperature: of quantizers that have one.
    """

    parts: VQVAEParts
    loss: CodedLoss
    temperature: Temperature | None = None

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, draw = split_each(inputs.keys.examples)
        options: dict[str, Any] = {} if self.temperature is None else {"temperature": self.temperature(inputs.step)}
        terms, state = self.parts.model.apply(
            {"params": params, **model_state},
            self.parts.prepare(noise, inputs.batch.x),
            StepKeys(draw, inputs.keys.shared),
            train=True,
            axis_name=inputs.axis_name,
            mutable=list(model_state),
            **options,
        )
        return jnp.mean(self.loss(terms, inputs)), (state, coded_metrics(terms))


def weighted_loss(weight: float) -> CodedLoss:
    """Return the standard loss, -log p(x | codes) + weight * penalty: (terms, inputs) -> batch mean, [] nats."""

    def loss(terms: CodedTerms, inputs: StepInput) -> Array:
        del inputs
        return -jnp.mean(terms.log_px) + weight * jnp.mean(terms.penalty)

    return loss


def coded_metrics(terms: CodedTerms) -> Metrics:
    """Return the training metrics: means over the batch, and the codebook usage of every grid."""
    metrics = {"reconstruction": -jnp.mean(terms.log_px), "penalty": jnp.mean(terms.penalty)}
    for level, stats in enumerate(terms.stats):
        ending = f"_{level}" if len(terms.stats) > 1 else ""
        for key in ("perplexity", "used", "quantization_error"):
            metrics[key + ending] = jnp.mean(stats[key])
    return metrics


def vqvae_system(
    *,
    name: str,
    spec: DataSpec,
    model: VQVAE | HierarchicalVQVAE,
    prepare: Prepare,
    optimizer: optax.GradientTransformation,
    loss: CodedLoss | None = None,
    weight: float | None = None,
    temperature: Temperature | None = None,
) -> System:
    """Return the system that trains a VQ-VAE.

    Args:
      name: of the system.
      spec: of the data.
      model: whose likelihood is of images in [0, 1].
      prepare: the preprocessing of images: binarises or scales them.
      optimizer: of the loss.
      loss: of the terms of a batch; by default `weighted_loss(weight)`.
      weight: of the penalty in the validation loss: 1 for penalties that are sums in nats; by default
        H W C, by which commitments, which are means over positions and channels, weigh the same for images of any size.
      temperature: of quantizers that have one.

    Returns:
      The system.
    """
    parts = VQVAEParts(spec, model, prepare, float(math.prod(spec.shape)) if weight is None else weight)
    training = CodedTraining(parts, loss or weighted_loss(parts.weight), temperature)
    return assembled(name, parts, [Player("vqvae", training, optimizer)])
