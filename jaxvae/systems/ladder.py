"""Ladder networks as systems: semi-supervised classifiers of partly labelled images (Rasmus et al. 2015)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax
import jax.numpy as jnp
import optax

from jaxvae import capabilities
from jaxvae.data import to_unit
from jaxvae.models import LadderNetwork
from jaxvae.systems.assemble import assembled
from jaxvae.systems.classifier import class_scores, known_class_scores, mean_share
from jaxvae.systems.pixels import unit_pixels
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
    System,
)


@dataclass(frozen=True, eq=False)
class LadderParts:
    """The parts of a ladder network, with its capabilities as methods.

    Attributes:
      spec: of the data.
      model: of images in [0, 1].
      prepare: scales images to [0, 1].
    """

    spec: DataSpec
    model: LadderNetwork
    prepare: Prepare

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return parameters, and the running averages of batch normalisation."""
        x = to_unit(batch.x, self.spec.num_values)
        model_state, params = flax.core.pop(self.model.init(key, None, x), "params")
        return params, model_state

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return the cross-entropy, nats, and the error, 0 or 1, of every image."""
        log_q = self.classify(params, model_state, keys, to_unit(batch.x, self.spec.num_values))
        found = class_scores(log_q, batch.labels)
        return {"loss": found["cross_entropy"], **found}

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`."""
        return (capabilities.Classifies(self.classify),)

    def classify(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
        """Return log q(class | x) of the clean encoder: see `capabilities.Classifies`."""
        terms: Any = self.model.apply({"params": params, **model_state}, None, x)
        return terms.log_q


@dataclass(frozen=True, eq=False)
class LadderLoss:
    """The loss of a ladder network: the cross-entropy of labelled images, and the denoising costs of all others."""

    parts: LadderParts
    costs: Sequence[float]

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        labels, model = inputs.batch.labels, self.parts.model
        num = len(model.hidden) + 2
        weights = jnp.array([*self.costs, *[self.costs[-1]] * num][:num])
        hidden = 1.0 - (labels >= 0).astype(jnp.float32)
        terms, state = model.apply(
            {"params": params, **model_state},
            inputs.keys.examples,
            to_unit(inputs.batch.x, self.parts.spec.num_values),
            hidden,
            train=True,
            axis_name=inputs.axis_name,
            mutable=list(model_state),
        )
        found = known_class_scores(terms.log_q, labels, inputs.axis_name)
        cost = jnp.mean(hidden * jnp.dot(terms.costs, weights)) / mean_share(hidden, inputs.axis_name)
        return found["cross_entropy"] + cost, (state, {"cost": cost, **found})


def ladder_system(
    *,
    name: str,
    spec: DataSpec,
    model: LadderNetwork,
    optimizer: optax.GradientTransformation,
    costs: Sequence[float],
) -> System:
    """Return the system that trains a ladder network on partly labelled images; the label -1 means unlabelled.

      loss = mean over known classes of -log q(y | x) + sum_l weight_l cost_l                    (Rasmus et al., eq. 4)

    Args:
      name: of the system.
      spec: of the data.
      model: of images in [0, 1].
      optimizer: of the loss.
      costs: weights of the layers' costs from the image upwards; the last one is that of all further layers.

    Returns:
      The system.
    """
    parts = LadderParts(spec, model, unit_pixels(spec))
    return assembled(name, parts, [Player("ladder", LadderLoss(parts, costs), optimizer)])
