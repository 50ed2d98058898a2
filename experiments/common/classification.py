"""Classifiers of images as experiments: a head on an encoder, a ladder network, and their scores."""

from collections.abc import Mapping, Sequence

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from experiments.common.autoencoder import Corrupt
from experiments.common.vae import split_each
from jaxvae.data import to_unit
from jaxvae.errors import UserError
from jaxvae.models import LadderNetwork
from jaxvae.types import (
    Array,
    Batch,
    DataSpec,
    Experiment,
    Metrics,
    ModelState,
    Params,
    PRNGKey,
    StepInput,
)


def classifier_experiment(
    *,
    name: str,
    spec: DataSpec,
    encoder: Experiment,
    variables: tuple[Params, ModelState] | None,
    optimizer: optax.GradientTransformation,
    corrupt: Corrupt,
    frozen: bool = False,
) -> Experiment:
    """Return the experiment that learns a linear layer on a model's codes, and the codes with it.

      loss = -log q(class | code of the corrupted x)

    Args:
      name: of the experiment.
      spec: of the data.
      encoder: an autoencoder or a VAE.
      variables: its parameters to start from, and its state; None initialises them.
      optimizer: of the loss.
      corrupt: what the encoder sees of the images that it is trained on.
      frozen: whether the codes stay as they are.

    Raises:
      UserError: if the model is another one.
    """
    head, encode = nn.Dense(spec.num_classes), encoder.encode
    if encode is None:
        raise UserError(f"--encoder is a run of {encoder.name}, expected one of an autoencoder or a VAE.")

    def init(key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        of_encoder, of_head, noise = jax.random.split(key, 3)
        params, model_state = encoder.init(of_encoder, batch) if variables is None else variables
        keys = jax.random.split(noise, batch.mask.shape[0])
        h = jnp.concatenate(encode(params, model_state, keys, encoder.prepare(keys, batch.x)), axis=-1)
        return {"encoder": params, "head": head.init(of_head, h)["params"]}, model_state

    def log_q(params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
        of_encoder = jax.lax.stop_gradient(params["encoder"]) if frozen else params["encoder"]
        h = jnp.concatenate(encode(of_encoder, model_state, keys, x), axis=-1)
        return jax.nn.log_softmax(head.apply({"params": params["head"]}, h))

    def loss(params: Params, model_state: ModelState, inputs: StepInput) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, draw = split_each(inputs.keys.examples)
        first, second = split_each(noise)
        seen = corrupt(second, encoder.prepare(first, inputs.batch.x))
        metrics = jax.tree.map(jnp.mean, scores(log_q(params, model_state, draw, seen), inputs.batch.labels))
        return metrics["cross_entropy"], (model_state, metrics)

    def evaluate(
        params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        noise, draw = split_each(keys)
        found = scores(log_q(params, model_state, draw, encoder.prepare(noise, batch.x)), batch.labels)
        return {"loss": found["cross_entropy"], **found}

    return Experiment(
        name=name,
        spec=spec,
        optimizer=optimizer,
        hparams={},
        init=init,
        loss=loss,
        evaluate=evaluate,
        prepare=encoder.prepare,
        classify=log_q,
    )


def ladder_experiment(
    *,
    name: str,
    spec: DataSpec,
    model: LadderNetwork,
    optimizer: optax.GradientTransformation,
    costs: Sequence[float],
) -> Experiment:
    """Return the experiment that trains a ladder network on images of which some have a class, others the label -1.

      loss = mean over known classes of -log q(y | x) + sum_l weight_l cost_l                    (Rasmus et al., eq. 4)

    Args:
      name: of the experiment.
      spec: of the data.
      model: of images in [0, 1].
      optimizer: of the loss.
      costs: weights of the layers' costs from the image upwards; the last one is that of all further layers.
    """
    num = len(model.hidden) + 2
    weights = jnp.array([*costs, *[costs[-1]] * num][:num])

    def init(key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        state, params = flax.core.pop(model.init(key, None, to_unit(batch.x, spec.num_values)), "params")
        return params, state

    def loss(params: Params, model_state: ModelState, inputs: StepInput) -> tuple[Array, tuple[ModelState, Metrics]]:
        labels = inputs.batch.labels
        known = (labels >= 0).astype(jnp.float32)
        terms, state = model.apply(
            {"params": params, **model_state},
            inputs.keys.examples,
            to_unit(inputs.batch.x, spec.num_values),
            1.0 - known,
            train=True,
            axis_name=inputs.axis_name,
            mutable=list(model_state),
        )
        found = of_known(terms.log_q, labels, known, inputs.axis_name)
        share = _share(1.0 - known, inputs.axis_name)
        cost = jnp.mean((1.0 - known) * jnp.dot(terms.costs, weights)) / share
        return found["cross_entropy"] + cost, (state, {"cost": cost, **found})

    def classify(params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
        return model.apply({"params": params, **model_state}, None, x).log_q

    def evaluate(
        params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        found = scores(classify(params, model_state, keys, to_unit(batch.x, spec.num_values)), batch.labels)
        return {"loss": found["cross_entropy"], **found}

    return Experiment(
        name=name,
        spec=spec,
        optimizer=optimizer,
        hparams={},
        init=init,
        loss=loss,
        evaluate=evaluate,
        prepare=lambda keys, x: to_unit(x, spec.num_values),
        classify=classify,
    )


def scores(log_q: Array, labels: Array) -> dict[str, Array]:
    """Return the cross-entropy, nats, and the error, 0 or 1, of images [B]; those without one as if of class 0."""
    right = jnp.maximum(labels, 0)
    cross_entropy = -jnp.take_along_axis(log_q, right[:, None], axis=1)[:, 0]
    return {"cross_entropy": cross_entropy, "error": (jnp.argmax(log_q, axis=1) != right).astype(jnp.float32)}


def of_known(log_q: Array, labels: Array, known: Array, axis_name: str | None) -> dict[str, Array]:
    """Return the means of `scores` over images whose class is known; 0 where the batch has none."""
    share = _share(known, axis_name)
    return {name: jnp.mean(value * known) / share for name, value in scores(log_q, labels).items()}


# ---------- private


def _share(weights: Array, axis_name: str | None) -> Array:
    share = jnp.mean(weights)
    return jnp.maximum(jax.lax.pmean(share, axis_name) if axis_name else share, 1e-6)
