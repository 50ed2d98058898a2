"""M2 as an experiment: a model of images, or of another model's latents, of which some have a class."""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from experiments.common.autoencoder import Corrupt
from experiments.common.classification import of_known, scores
from experiments.common.loading import given_or_zeros
from experiments.common.vae import Prepare, split_each
from jaxvae import distributions
from jaxvae.data import to_unit
from jaxvae.models import ClassTerms, SemiSupervisedVAE, class_bound, with_output_bias
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

MIN_SCALE = 0.1  # of latents that M2 is of, whose prior has 1: what hardly varies is not to be made large


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

    Departs from the paper in that q(y | x), also within the bound of an image without a class, may be of the image
    corrupted; that a batch has more images with a class than the data, by repetition, so that their bounds weigh more;
    that the weight is of nats of an image, where the paper's alpha = 0.1 N is 0.1; and that latents are those of images
    as they are, standardised, with `latent_noise` of the noise of q(z | x). The bound is then one of the log density of
    these standardised latents, in units that differ from draw to draw, and none of log p(x).

    Args:
      name: of the experiment.
      spec: of the data.
      model: of images, or of the latents of `below`.
      prepare: makes the images that are modelled of those of the data.
      optimizer: of the loss.
      classifier_weight: of the second term; alpha / N in the paper.
      corrupt: what q(y | x) sees of images that it learns from; all else sees them as they are. None corrupts nothing.
      below: M1, a VAE of images with a Gaussian posterior. Its latents are drawn anew at every visit and standardised
        as those of a first batch are. Training images may be given as q(z | x) of them, `GaussianParams`.
      below_variables: its parameters and state, which stay as they are; None where shapes are enough.
      latent_noise: of the latents of M1, in their standard deviations; 1 in the paper, 0 takes their means.

    Raises:
      ValueError: if latents were to be corrupted.
    """
    if corrupt is not None and below is not None:
        raise ValueError("corrupt is of images, which M2 of latents does not see: expected None.")

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

    def prepared(keys: PRNGKey, x: Array | GaussianParams) -> Array | GaussianParams:
        return x if isinstance(x, GaussianParams) else prepare(keys, x)

    def terms_of(
        params: Params, model_state: ModelState, keys: PRNGKey, x: Array | GaussianParams, view: Corrupt | None
    ) -> ClassTerms:
        first, draw = split_each(keys)  # of latents or of what the classifier sees, never of both
        seen = None if view is None else view(first, x)
        return model.apply({"params": params}, draw, modelled(model_state, first, x), seen)

    def init(key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        params_key, draw = jax.random.split(key)
        keys = jax.random.split(draw, batch.mask.shape[0])
        x, model_state = prepared(keys, batch.x), {}
        if below is not None:
            model_state = given_or_zeros(below, below_variables)
            q = latents(model_state, x)
            mean_of = functools.partial(jnp.average, axis=0, weights=batch.mask, keepdims=True)
            center = mean_of(q.mean)
            # Of what M2 is of, noise included: most of a latent that says nothing of the images is noise.
            variance = mean_of(jnp.square(q.mean - center) + latent_noise**2 * jnp.exp(q.log_var))
            scale = jnp.maximum(jnp.sqrt(variance), MIN_SCALE)
            model_state = {**model_state, "center": center, "scale": scale}
        params = model.init(params_key, keys, modelled(model_state, keys, x))["params"]
        if below is None:
            mean = jnp.average(to_unit(batch.x, spec.num_values), axis=0, weights=batch.mask)
            params = with_output_bias(params, model.likelihood, mean)
        return params, model_state

    def loss(params: Params, model_state: ModelState, inputs: StepInput) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, draw = split_each(inputs.keys.examples)
        labels = inputs.batch.labels
        terms = terms_of(params, model_state, draw, prepared(noise, inputs.batch.x), corrupt)
        bound, known = jnp.mean(class_bound(terms, labels)), (labels >= 0).astype(jnp.float32)
        found = of_known(terms.log_qy, labels, known, inputs.axis_name)
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
