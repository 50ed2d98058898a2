"""Autoencoders as systems: all layers trained jointly, or greedily the last pair alone on the codes of those below."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxvae import capabilities
from jaxvae.data import to_unit
from jaxvae.likelihoods import bernoulli, squared_error
from jaxvae.likelihoods.scoring import has_independent_pixels, perfect_pixels, score_images, score_pixels
from jaxvae.models import Autoencoder, with_mean_image
from jaxvae.systems.assemble import assembled
from jaxvae.systems.pixels import unit_pixels
from jaxvae.types import (
    Array,
    Batch,
    Corrupt,
    DataSpec,
    Metrics,
    ModelState,
    Params,
    Player,
    Prepare,
    PRNGKey,
    StepInput,
    System,
)

# (encoder, what is encoded without noise [B, ...], codes with it [B, ...], axis of replicas) -> [B] or []
Penalty = Callable[[Callable[[Array], Array], Array, Array, str | None], Array]


@dataclass(frozen=True, eq=False)
class AutoencoderParts:
    """The parts of an autoencoder, with its capabilities as methods.

    Attributes:
      spec: of the data.
      model: of images in [0, 1].
      prepare: scales images to [0, 1].
      corrupt: corruption of the input of the encoder, or of the last pair, in training and validation.
      last_alone: whether the last pair is trained alone, on the codes of the pairs below.
    """

    spec: DataSpec
    model: Autoencoder
    prepare: Prepare
    corrupt: Corrupt
    last_alone: bool = False

    @property
    def num_fixed(self) -> int:
        """Number of frozen pairs, below those that are trained."""
        return len(self.model.pairs) - 1 if self.last_alone else 0

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return parameters whose output bias is the mean image."""
        x = to_unit(batch.x, self.spec.num_values)
        params = self.model.init(key, x)["params"]
        mean = jnp.average(x, axis=0, weights=batch.mask)
        return with_mean_image(params, self.model.likelihood, mean), {}

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return the loss without penalty, and the reconstruction error of uncorrupted images."""
        x = to_unit(batch.x, self.spec.num_values)
        wanted = self.apply(params, x, self.num_fixed, method="encode")
        _, errors = self.errors(params, self.corrupt(keys, wanted), wanted)
        return {"loss": errors, "reconstruction": -score_images(self.model.likelihood, self.apply(params, x), x)}

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`."""
        common = capabilities.Encodes(self.encode), capabilities.Decodes(self.decode)
        by_pixel = has_independent_pixels(self.model.likelihood, self.spec.shape)
        return (*common, capabilities.ScoresPixels(self.log_pixels, self.perfect)) if by_pixel else common

    def encode(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> tuple[Array, ...]:
        """Return codes as vectors: see `capabilities.Encodes`."""
        return (self.apply(params, x, method="encode").reshape(len(x), -1),)

    def decode(self, params: Params, model_state: ModelState, keys: PRNGKey, z: Array) -> Array:
        """Return images of codes: see `capabilities.Decodes`."""
        code_shape = self.model.pairs[-1].code_shape
        of_x = self.apply(params, z.reshape(len(z), *code_shape), method="decode")
        return jax.vmap(self.model.likelihood.mean)(of_x)

    def log_pixels(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
        """Return log p(x_ij | code of x): see `capabilities.ScoresPixels`."""
        return score_pixels(self.model.likelihood, self.apply(params, x), x)

    def perfect(self, x: Array) -> Array:
        """Return log p(x_ij) of a perfect reconstruction: see `capabilities.ScoresPixels`."""
        return perfect_pixels(self.model.likelihood, x)

    def errors(self, params: Params, seen: Array, wanted: Array) -> tuple[Array, Array]:
        """Return the codes of the first trained pair, and the reconstruction error [B] of its clean input.

        That is -log p(x | code). Of the last pair alone it is the cross-entropy where the pair below ends in a sigmoid,
        and squared errors elsewhere.
        """
        h = self.apply(params, seen, self.num_fixed, method="encode_from")
        if not self.num_fixed:
            return h, -score_images(self.model.likelihood, self.apply(params, h, method="decode"), wanted)
        y, activation = self.apply(params, h, method="decode_last"), self.model.pairs[-2].activation
        if activation is nn.sigmoid:
            return h, -score_images(bernoulli(), y, wanted)
        return h, -score_images(squared_error(), activation(y), wanted)

    def apply(self, params: Params, *args: Any, method: str | None = None) -> Any:
        """Apply a method of the model."""
        return self.model.apply({"params": params}, *args, method=method)


@dataclass(frozen=True, eq=False)
class ReconstructionLoss:
    """The loss of an autoencoder: its mean reconstruction error over the batch, and a penalty on the code."""

    parts: AutoencoderParts
    penalty: Penalty | None

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        parts, fixed = self.parts, self.parts.num_fixed
        x = to_unit(inputs.batch.x, parts.spec.num_values)
        wanted = jax.lax.stop_gradient(parts.apply(params, x, fixed, method="encode"))
        h, errors = parts.errors(params, parts.corrupt(inputs.keys.examples, wanted), wanted)
        total = jnp.mean(errors)
        metrics = {"reconstruction": total}
        if self.penalty is not None:
            encode = lambda h: parts.apply(params, h, fixed, method="encode_from")  # noqa: E731
            metrics["penalty"] = jnp.mean(self.penalty(encode, wanted, h, inputs.axis_name))
            total += metrics["penalty"]
        return total, (model_state, metrics)


def autoencoder_system(
    *,
    name: str,
    spec: DataSpec,
    model: Autoencoder,
    optimizer: optax.GradientTransformation,
    corrupt: Corrupt,
    penalty: Penalty | None = None,
    last_alone: bool = False,
    pretrained: Params = None,
) -> System:
    """Return the system that trains an autoencoder.

      loss = -log p(x | code of the corrupted x) + penalty

    or, of the last pair alone, its reconstruction error of the codes of the pairs below.

    Args:
      name: of the system.
      spec: of the data.
      model: of images in [0, 1].
      optimizer: of the loss.
      corrupt: corruption of the input of the encoder, or of the last pair, in training and validation.
      penalty: on the code, weighted; in training alone.
      last_alone: whether the pairs below the last are frozen.
      pretrained: parameters of these, or of all pairs, to start from.

    Returns:
      The system.
    """
    parts = AutoencoderParts(spec, model, unit_pixels(spec), corrupt, last_alone)
    player = Player("autoencoder", ReconstructionLoss(parts, penalty), optimizer)
    return assembled(name, parts, [player], init=functools.partial(_init_from, parts, pretrained or {}))


# ---------- private


def _init_from(parts: AutoencoderParts, pretrained: Params, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
    """Initial parameters, with those of pre-trained pairs in their places."""
    params, model_state = parts.init(key, batch)
    return {**params, **pretrained}, model_state
