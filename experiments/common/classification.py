"""Classifiers of images as experiments: a head on an encoder, M2 of images or of another model's latents, a ladder."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from experiments.common.autoencoder import Corrupt
from experiments.common.loading import given_or_zeros
from experiments.common.vae import Prepare, split_each
from jaxvae import distributions
from jaxvae.data import to_unit
from jaxvae.errors import UserError
from jaxvae.models import ClassTerms, LadderNetwork, SemiSupervisedVAE, class_bound, with_output_bias
from jaxvae.types import (
    Array,
    Batch,
    DataSpec,
    Experiment,
    GaussianParams,
    Metrics,
    ModelState,
    Params,
    PRNGKey,
    Samples,
    StepInput,
)

MIN_SCALE = 0.1  # of the latents of M1 over images, whose prior has 1


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


def m2_experiment(
    *,
    name: str,
    spec: DataSpec,
    model: SemiSupervisedVAE,
    prepare: Prepare,
    optimizer: optax.GradientTransformation,
    classifier_weight: float,
    corrupt: Corrupt | None = None,
    below: Experiment | None = None,
    below_variables: tuple[Params, ModelState] | None = None,
    latent_noise: float = 1.0,
) -> Experiment:
    """Return the experiment that trains M2 on images of which some have a class, others the label -1.

      loss = -bound(x, y or x) + weight * mean over known classes of -log q(y | x)           [nats per image, eq. 9]

    Departs from the paper in that q(y | x) may see images corrupted; that a batch has more images with a class than the
    data, by repetition, so that their bounds weigh more; and that the weight is of nats of an image, where the paper's
    alpha = 0.1 N is 0.1.

    Args:
      name: of the experiment.
      spec: of the data.
      model: of images, or of the latents of `below`.
      prepare: makes the images that are modelled of those of the data.
      optimizer: of the loss.
      classifier_weight: of the second term; alpha / N in the paper.
      corrupt: what q(y | x) sees of images that it learns from, the bounds see them as they are; None for these.
      below: M1, a VAE of images with a Gaussian posterior. Its latents are drawn anew at every visit and standardised
        as their means of a first batch are. Training images may be given as q(z | x) of them, `GaussianParams`.
      below_variables: its parameters and state, which stay as they are; None where shapes are enough.
      latent_noise: of the latents of M1, in their standard deviations; 1 in the paper, 0 takes their means.
    """

    def latents(model_state: ModelState, x: Array | GaussianParams) -> GaussianParams:
        return x if isinstance(x, GaussianParams) else below.posterior(model_state["params"], model_state["state"], x)

    def standardized(model_state: ModelState, z: Array) -> Array:
        return (z - model_state["center"]) / model_state["scale"]

    def modelled(model_state: ModelState, keys: PRNGKey, x: Array | GaussianParams) -> Array:
        """What M2 is of: prepared images, or latents of them, drawn."""
        if below is None:
            return x
        q = latents(model_state, x)
        drawn = jax.vmap(distributions.normal_sample)(keys, q)
        return standardized(model_state, q.mean + latent_noise * (drawn - q.mean))

    def expected(model_state: ModelState, x: Array) -> Array:
        """The same without noise."""
        return x if below is None else standardized(model_state, latents(model_state, x).mean)

    def seen(keys: PRNGKey, x: Any) -> Any:
        return x if isinstance(x, GaussianParams) else prepare(keys, x)

    def terms_of(
        params: Params, model_state: ModelState, keys: PRNGKey, x: Array | GaussianParams, corrupt: Corrupt | None
    ) -> ClassTerms:
        of_latents, draw = split_each(keys)
        of_classifier = None if corrupt is None else corrupt(of_latents, x)
        return model.apply({"params": params}, draw, modelled(model_state, of_latents, x), of_classifier)

    def init(key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        params_key, draw = jax.random.split(key)
        keys = jax.random.split(draw, batch.mask.shape[0])
        x, model_state = seen(keys, batch.x), {}
        if below is not None:
            model_state = given_or_zeros(below, below_variables)
            means = latents(model_state, x).mean
            center = jnp.average(means, axis=0, weights=batch.mask, keepdims=True)
            scale = jnp.sqrt(jnp.average(jnp.square(means - center), axis=0, weights=batch.mask, keepdims=True))
            # A latent that says nothing of the images is noise alone: it is not to be made large.
            model_state = {**model_state, "center": center, "scale": jnp.maximum(scale, MIN_SCALE)}
        params = model.init(params_key, keys, modelled(model_state, keys, x))["params"]
        if below is None:
            mean = jnp.average(to_unit(batch.x, spec.num_values), axis=0, weights=batch.mask)
            params = with_output_bias(params, model.likelihood, mean)
        return params, model_state

    def loss(params: Params, model_state: ModelState, inputs: StepInput) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, draw = split_each(inputs.keys.examples)
        labels = inputs.batch.labels
        terms = terms_of(params, model_state, draw, seen(noise, inputs.batch.x), corrupt)
        bound, known = jnp.mean(class_bound(terms, labels)), (labels >= 0).astype(jnp.float32)
        found = _of_known(terms.log_qy, labels, known, inputs.axis_name)
        total = -bound + classifier_weight * found["cross_entropy"]
        return total, (model_state, {"bound": bound, **found})

    def evaluate(
        params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        noise, draw = split_each(keys)
        x = prepare(noise, batch.x)
        bound = class_bound(terms_of(params, model_state, draw, x, None), jnp.full_like(batch.labels, -1))
        return {"loss": -bound, "bound": bound, **scores(classify(params, model_state, draw, x), batch.labels)}

    def classify(params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
        return model.apply({"params": params}, expected(model_state, x), method="classify")

    def decoded(params: Params, model_state: ModelState, keys: PRNGKey, z: Array, y: Array) -> Array:
        mean = jax.vmap(model.likelihood.mean)(model.apply({"params": params}, z, y, method="decode"))
        if below is None:
            return mean
        z = mean * model_state["scale"] + model_state["center"]
        return below.decode(model_state["params"], model_state["state"], keys, z)

    def sample(key: PRNGKey, params: Params, model_state: ModelState, num: int) -> Samples:
        """Draw styles and decode them with class 0, 1, ..., 0, 1, ...; the images are means."""
        style, pixels = jax.random.split(key)
        z, keys = jax.random.normal(style, (num, model.posterior.latent_dim)), jax.random.split(pixels, num)
        return Samples(decoded(params, model_state, keys, z, jnp.arange(num) % spec.num_classes), None)

    def analogies(params: Params, model_state: ModelState, keys: PRNGKey, x: Array, y: Array) -> Array:
        """Return images [B, K, H, W, C] of every class in the styles of prepared images [B, ...] of classes [B]."""
        z = model.apply({"params": params}, expected(model_state, x), y, method="style").mean
        every = lambda label: decoded(params, model_state, keys, z, jnp.full(len(z), label))  # noqa: E731
        return jnp.stack([every(label) for label in range(spec.num_classes)], axis=1)

    return Experiment(
        name=name,
        spec=spec,
        optimizer=optimizer,
        hparams={},
        init=init,
        loss=loss,
        evaluate=evaluate,
        prepare=prepare,
        sample=sample,
        classify=classify,
        analogies=analogies,
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
        found = _of_known(terms.log_q, labels, known, inputs.axis_name)
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


# ---------- private


def _of_known(log_q: Array, labels: Array, known: Array, axis_name: str | None) -> dict[str, Array]:
    """The means of `scores` over images whose class is known; 0 where the batch has none."""
    share = _share(known, axis_name)
    return {name: jnp.mean(value * known) / share for name, value in scores(log_q, labels).items()}


def _share(weights: Array, axis_name: str | None) -> Array:
    share = jnp.mean(weights)
    return jnp.maximum(jax.lax.pmean(share, axis_name) if axis_name else share, 1e-6)
