"""From a VAE module and a bound to an `Experiment`: what every experiment with a VAE shares."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from jaxvae import objectives
from jaxvae.data import binarize, to_unit
from jaxvae.models import VAE, HierarchicalVAE, with_output_bias
from jaxvae.types import (
    Array,
    Batch,
    DataSpec,
    ELBOTerms,
    Experiment,
    Metrics,
    ModelState,
    Params,
    PRNGKey,
    StepInput,
)

# (params, keys [B], prepared x [B, H, W, C], hparams and step) -> what is maximised [B], metrics [B] or []
Bound = Callable[[Params, PRNGKey, Array, StepInput], tuple[Array, Metrics]]


def vae_experiment(
    *,
    name: str,
    spec: DataSpec,
    vae: VAE | HierarchicalVAE,
    bound: Bound,
    score: Callable[[ELBOTerms], Array],
    optimizer: optax.GradientTransformation,
    hparams: Mapping[str, float],
    num_samples: int = 1,
) -> Experiment:
    """Return the experiment that maximises a bound of a VAE on binary images, binarised anew at every visit.

    Args:
      name: of the experiment.
      spec: of the data; images with more than two values are binarised with their intensity as probability.
      vae: the model.
      bound: the training objective.
      score: what the validation part is judged by, larger is better: terms [S, B] -> [B].
      optimizer: of the negative bound.
      hparams: starting values of what the bound reads from `StepInput.hparams`.
      num_samples: S, latents per example in validation.
    """

    def prepare(keys: PRNGKey, x: Array) -> Array:
        return binarize(keys, x, spec.num_values)

    def init(key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        keys = jax.random.split(key, batch.mask.shape[0])
        x = to_unit(batch.x, spec.num_values)
        params = vae.init(key, keys, x)["params"]
        return with_output_bias(params, vae.likelihood, jnp.mean(x, axis=0)), {}

    def loss(params: Params, model_state: ModelState, inputs: StepInput) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, draw = split_each(inputs.keys.examples)
        value, metrics = bound(params, draw, prepare(noise, inputs.batch.x), inputs)
        return -jnp.mean(value), (model_state, jax.tree.map(jnp.mean, metrics))

    def evaluate(params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch) -> Metrics:
        noise, draw = split_each(keys)
        sampled = vae.apply({"params": params}, draw, prepare(noise, batch.x), num_samples)
        reconstruction = -jnp.mean(sampled.log_px, axis=0)
        bound = objectives.elbo(sampled)
        return {"loss": -score(sampled), "elbo": bound, "reconstruction": reconstruction, "kl": -bound - reconstruction}

    def sample(key: PRNGKey, params: Params, model_state: ModelState, num: int) -> Array:
        latents, pixels = split_each(jax.random.split(key, num))
        z = vae.apply({"params": params}, latents, method="prior_latents")
        return jax.vmap(vae.likelihood.sample)(pixels, vae.apply({"params": params}, z, method="decode"))

    def encode(params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> tuple[Array, ...]:
        return vae.apply({"params": params}, keys, x, num_samples, method="latent_means")

    def decode(params: Params, model_state: ModelState, z: Array) -> Array:
        return jax.vmap(vae.likelihood.mean)(vae.apply({"params": params}, z, method="decode"))

    def terms(params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> ELBOTerms:
        return vae.apply({"params": params}, keys, x)

    return Experiment(
        name=name,
        spec=spec,
        optimizer=optimizer,
        hparams=hparams,
        init=init,
        loss=loss,
        evaluate=evaluate,
        sample=sample,
        prepare=prepare,
        encode=encode,
        decode=decode,
        terms=terms,
    )


def split_each(keys: PRNGKey) -> tuple[PRNGKey, PRNGKey]:
    """Return two keys for every key, [B] -> [B], [B]."""
    pairs = jax.vmap(jax.random.split)(keys)
    return pairs[:, 0], pairs[:, 1]
