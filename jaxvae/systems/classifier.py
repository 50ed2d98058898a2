"""Classifiers as systems: a linear layer on the codes of an encoder, or on the features of a network of their own."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxvae import capabilities
from jaxvae.keys import split_each
from jaxvae.systems.assemble import assembled
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


class EncoderParts(Protocol):
    """What encodes images as vectors: the parts of a VAE or an autoencoder, or `NetworkParts`."""

    @property
    def prepare(self) -> Prepare:
        """The preprocessing of images: binarises or scales them."""
        ...

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return parameters and state to start from."""
        ...

    def encode(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> tuple[Array, ...]:
        """Return vectors of prepared images: see `capabilities.Encodes`."""
        ...


@dataclass(frozen=True, eq=False)
class NetworkParts:
    """A network that is trained with its classifier alone, in the place of a model that encodes images.

    Attributes:
      spec: of the data.
      net: images [B, H, W, C] -> features [B, F].
      prepare: the preprocessing of images: binarises or scales them.
    """

    spec: DataSpec
    net: nn.Module
    prepare: Prepare

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return the network's parameters."""
        params_key, noise = jax.random.split(key)
        x = self.prepare(jax.random.split(noise, batch.mask.shape[0]), batch.x)
        return self.net.init(params_key, x)["params"], {}

    def encode(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> tuple[Array, ...]:
        """Return the features of prepared images, ([B, F],)."""
        features: Any = self.net.apply({"params": params}, x)
        return (features,)


@dataclass(frozen=True, eq=False)
class ClassifierParts:
    """The parts of a classifier, with its capabilities as methods.

    Attributes:
      spec: of the data.
      encoder: the model that encodes the images.
      prepare: that of the encoder.
    """

    spec: DataSpec
    encoder: EncoderParts
    prepare: Prepare

    @property
    def head(self) -> nn.Dense:
        """The linear layer on the codes."""
        return nn.Dense(self.spec.num_classes)

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return parameters of a new encoder and of the linear layer."""
        of_encoder, of_head, noise = jax.random.split(key, 3)
        params, model_state = self.encoder.init(of_encoder, batch)
        keys = jax.random.split(noise, batch.mask.shape[0])
        h = self.codes(params, model_state, keys, self.prepare(keys, batch.x))
        return {"encoder": params, "head": self.head.init(of_head, h)["params"]}, model_state

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return the cross-entropy, nats, and the error, 0 or 1, of every image."""
        noise, draw = split_each(keys)
        log_q = self.classify(params, model_state, draw, self.prepare(noise, batch.x))
        found = class_scores(log_q, batch.labels)
        return {"loss": found["cross_entropy"], **found}

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`."""
        return capabilities.Classifies(self.classify), capabilities.HasFeatures(self.features)

    def classify(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
        """Return log q(class | code of x): see `capabilities.Classifies`."""
        h = self.codes(params["encoder"], model_state, keys, x)
        logits: Any = self.head.apply({"params": params["head"]}, h)
        return jax.nn.log_softmax(logits)

    def features(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
        """Return what the linear layer sees of images: see `capabilities.HasFeatures`."""
        return self.codes(params["encoder"], model_state, keys, x)

    def codes(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
        """Return the codes of prepared images, of the encoder's parameters: [B, F]."""
        return jnp.concatenate(self.encoder.encode(params, model_state, keys, x), axis=-1)


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """The cross-entropy of corrupted images, mean over the batch."""

    parts: ClassifierParts
    corrupt: Corrupt
    frozen: bool

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, draw = split_each(inputs.keys.examples)
        first, second = split_each(noise)
        seen = self.corrupt(second, self.parts.prepare(first, inputs.batch.x))
        if self.frozen:
            params = {**params, "encoder": jax.lax.stop_gradient(params["encoder"])}
        log_q = self.parts.classify(params, model_state, draw, seen)
        metrics = jax.tree.map(jnp.mean, class_scores(log_q, inputs.batch.labels))
        return metrics["cross_entropy"], (model_state, metrics)


def classifier_system(
    *,
    name: str,
    spec: DataSpec,
    encoder: EncoderParts,
    variables: tuple[Params, ModelState] | None,
    optimizer: optax.GradientTransformation,
    corrupt: Corrupt,
    frozen: bool = False,
) -> System:
    """Return the system that trains a linear classifier on the codes of an encoder, and fine-tunes or freezes that.

      loss = -log q(class | code of the corrupted x)

    Args:
      name: of the system.
      spec: of the data.
      encoder: parts of an autoencoder or a VAE, or a network.
      variables: its parameters to start from, and its state; None initialises them.
      optimizer: of the loss.
      corrupt: corruption of the training images.
      frozen: whether the encoder is frozen.

    Returns:
      The system.
    """
    parts = ClassifierParts(spec, encoder, encoder.prepare)
    init = None if variables is None else functools.partial(_init_from, parts, variables)
    return assembled(name, parts, [Player("classifier", CrossEntropy(parts, corrupt, frozen), optimizer)], init=init)


def class_scores(log_q: Array, labels: Array) -> dict[str, Array]:
    """Return the cross-entropy, nats, and the error, 0 or 1, of every image; unlabelled ones count as class 0.

    Args:
      log_q: log q(class | x), [B, K].
      labels: classes [B].
    """
    right = jnp.maximum(labels, 0)
    cross_entropy = -jnp.take_along_axis(log_q, right[:, None], axis=1)[:, 0]
    return {"cross_entropy": cross_entropy, "error": (jnp.argmax(log_q, axis=1) != right).astype(jnp.float32)}


def known_class_scores(log_q: Array, labels: Array, axis_name: str | None) -> dict[str, Array]:
    """Return the means of `class_scores` over the labelled images, label 0 or more; 0 if there is none.

    Args:
      log_q: log q(class | x), [B, K].
      labels: classes [B].
      axis_name: mapped axis of replicas that share the batch.
    """
    known = (labels >= 0).astype(jnp.float32)
    share = mean_share(known, axis_name)
    return {name: jnp.mean(value * known) / share for name, value in class_scores(log_q, labels).items()}


def mean_share(weights: Array, axis_name: str | None) -> Array:
    """Return the mean of weights [B] over the batch of all replicas, at least 1e-6: what a weighted mean divides by."""
    share = jnp.mean(weights)
    return jnp.maximum(jax.lax.pmean(share, axis_name) if axis_name else share, 1e-6)


# ---------- private


def _init_from(
    parts: ClassifierParts, variables: tuple[Params, ModelState], key: PRNGKey, batch: Batch
) -> tuple[Params, ModelState]:
    """Initial parameters of the linear layer, with those of a pre-trained encoder."""
    params, _ = parts.init(key, batch)
    return {**params, "encoder": variables[0]}, variables[1]
