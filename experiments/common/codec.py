"""Models of images through grids of codes, as experiments: their training."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax

from experiments.common.vae import Prepare, split_each
from jaxvae.data import to_unit
from jaxvae.models import VQVAE, HierarchicalVQVAE, with_output_bias
from jaxvae.types import (
    Array,
    Batch,
    Codec,
    DataSpec,
    Experiment,
    Metrics,
    ModelState,
    Params,
    PRNGKey,
    StepInput,
    StepKeys,
)


def codec_experiment(
    *,
    name: str,
    spec: DataSpec,
    model: VQVAE | HierarchicalVQVAE,
    prepare: Prepare,
    optimizer: optax.GradientTransformation,
    penalty_weight: float | None = None,
    temperature: Callable[[Array], Array] | None = None,
) -> Experiment:
    """Return the experiment that trains a model of images through codes.

      loss = -log p(x | codes) + weight * penalty      [nats per image]

    Args:
      name: of the experiment.
      spec: of the data.
      model: whose likelihood is of images in [0, 1].
      prepare: makes the images that are modelled of those of the data.
      optimizer: of the loss.
      penalty_weight: 1 for penalties that are sums in nats; None is H W C, by which commitments, which are means over
        positions and channels, weigh the same for images of any size.
      temperature: of quantizers that have one, (step) -> [].
    """
    weight = math.prod(spec.shape) if penalty_weight is None else penalty_weight
    quantizers = (model.quantizer,) if isinstance(model, VQVAE) else (model.top_quantizer, model.quantizer)

    def variables(params: Params, model_state: ModelState) -> Mapping[str, Any]:
        return {"params": params, **model_state}

    def init(key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        params_key, noise = jax.random.split(key)
        x = prepare(jax.random.split(noise, batch.mask.shape[0]), batch.x)
        state, params = flax.core.pop(model.init(params_key, x), "params")
        mean = jnp.average(to_unit(batch.x, spec.num_values), axis=0, weights=batch.mask)
        return with_output_bias(params, model.likelihood, mean), state

    def loss(params: Params, model_state: ModelState, inputs: StepInput) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, draw = split_each(inputs.keys.examples)
        options = {} if temperature is None else {"temperature": temperature(inputs.step)}
        terms, state = model.apply(
            variables(params, model_state),
            prepare(noise, inputs.batch.x),
            StepKeys(draw, inputs.keys.shared),
            train=True,
            axis_name=inputs.axis_name,
            mutable=list(model_state),
            **options,
        )
        reconstruction, penalty = -jnp.mean(terms.log_px), jnp.mean(terms.penalty)
        metrics = {"reconstruction": reconstruction, "penalty": penalty}
        for level, stats in enumerate(terms.stats):
            ending = f"_{level}" if len(terms.stats) > 1 else ""
            for key in ("perplexity", "used", "quantization_error"):
                metrics[key + ending] = jnp.mean(stats[key])
        return reconstruction + weight * penalty, (state, metrics)

    def evaluate(
        params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        noise, _ = split_each(keys)
        terms = model.apply(variables(params, model_state), prepare(noise, batch.x))
        return {
            "loss": -terms.log_px + weight * terms.penalty,
            "reconstruction": -terms.log_px,
            "penalty": terms.penalty,
        }

    def encode(params: Params, model_state: ModelState, x: Array) -> tuple[Array, ...]:
        return model.apply(variables(params, model_state), x, method="encode")

    def decode(params: Params, model_state: ModelState, codes: tuple[Array, ...]) -> Array:
        of_x = model.apply(variables(params, model_state), codes, method="decode")
        return jax.vmap(model.likelihood.mean)(of_x)

    def vectors(params: Params, model_state: ModelState, codes: tuple[Array, ...]) -> tuple[Array, ...]:
        return model.apply(variables(params, model_state), codes, method="vectors")

    return Experiment(
        name=name,
        spec=spec,
        optimizer=optimizer,
        hparams={},
        init=init,
        loss=loss,
        evaluate=evaluate,
        prepare=prepare,
        codec=Codec(tuple(quantizer.num_codes for quantizer in quantizers), encode, decode, vectors),
    )
