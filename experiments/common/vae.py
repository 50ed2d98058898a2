"""What every experiment with a VAE shares: its networks by name, its bound, its `Experiment`."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxvae import objectives, schedules
from jaxvae.data import binarize, to_unit
from jaxvae.evaluation.likelihood import LikelihoodEstimate, importance_estimate, jit_estimate
from jaxvae.models import VAE, HierarchicalVAE, draw_images, with_output_bias
from jaxvae.nets import (
    MLP,
    ConvDecoder,
    ConvEncoder,
    ImageDecoder,
    MLPEncoder,
    ResNetDecoder,
    ResNetEncoder,
)
from jaxvae.posteriors import GaussianPosterior, StraightThroughPosterior
from jaxvae.types import (
    Array,
    Batch,
    DataSpec,
    ELBOTerms,
    Experiment,
    GaussianParams,
    Likelihood,
    Metrics,
    ModelState,
    Params,
    PRNGKey,
    Samples,
    StepInput,
)

MEAN_SAMPLES = 100  # of q(z | x) for its mean, where that has no closed form
Net = Literal["mlp", "conv", "resnet"]
Prepare = Callable[[PRNGKey, Array], Array]  # (keys [B], x of a Batch) -> what the likelihood scores
# (params, keys [B], prepared x [B, H, W, C], hparams and step) -> what is maximised [B], metrics [B] or []
Bound = Callable[[Params, PRNGKey, Array, StepInput], tuple[Array, Metrics]]


def cosine_adam(learning_rate: float, steps: int, eps: float = 1e-8) -> optax.GradientTransformation:
    """Return Adam whose learning rate falls to 2 % by half a cosine; a sweep can vary `learning_rate`."""

    def adam(learning_rate: Array) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(learning_rate, steps, alpha=0.02), eps=eps)

    return optax.inject_hyperparams(adam)(learning_rate=learning_rate)


def gaussian_vae(
    net: Net,
    latent_dim: int,
    likelihood: Likelihood,
    spec: DataSpec,
    *,
    precision: str = "float32",
    hidden: int = 256,
    num_blocks: int = 1,
    remat: bool = False,
) -> VAE:
    """Return a VAE with a diagonal Gaussian posterior and one of three pairs of networks.

    Args:
      net: `mlp`, two layers of 400 units each way; `conv`, 32 and 64 channels with stride 2 and a dense layer, without
        which samples of the prior fall apart into strokes; `resnet`, residual blocks.
      latent_dim: D.
      likelihood: of the images.
      spec: of the data.
      precision: `Config.precision`.
      hidden: units of the dense layer of `conv`.
      num_blocks: residual blocks in every stage of `resnet`.
      remat: whether the blocks of `resnet` are computed again for the gradient, which saves memory on GPU and TPU.
    """
    shapes = likelihood.param_shapes(spec.shape)
    dtype = network_dtype(precision)
    encoder: nn.Module
    decoder: nn.Module
    if net == "mlp":
        encoder, decoder = MLPEncoder((400, 400), dtype=dtype), MLP((400, 400), dtype=dtype)
    elif net == "conv":
        encoder = nn.Sequential([ConvEncoder((32, 64), dtype=dtype), MLP((hidden,), dtype=dtype)])
        decoder = nn.Sequential([MLP((hidden,), dtype=dtype), ConvDecoder((64, 32), spec.shape, dtype=dtype)])
    else:
        encoder = ResNetEncoder(num_blocks=num_blocks, dtype=dtype, remat=remat)
        decoder = ResNetDecoder(spec.shape, num_blocks=num_blocks, dtype=dtype, remat=remat)
    return VAE(encoder, GaussianPosterior(latent_dim), ImageDecoder(decoder, shapes, dtype), likelihood)


def network_dtype(precision: str) -> Any:
    """Return the type in which the networks of a `Config.precision` compute."""
    return jnp.bfloat16 if precision == "bf16" else None


def closed_bound(vae: VAE) -> Bound:
    """Return the ELBO with the KL in closed form, and three ways to weigh it, all read from `hparams`.

    beta: weight of the KL; warmup_steps and warmup_cycles: its rise from 0, once or in cycles; free_bits: nats per
    dimension below which the KL is not lowered.

    Raises:
      ValueError: if it is not in closed form: from a Gaussian posterior to N(0, I), or from bits to independent bits.
    """
    if not vae.has_closed_kl:
        got = f"{type(vae.posterior).__name__} and {type(vae.prior).__name__}"
        raise ValueError(
            f"closed_bound is of a Gaussian posterior and the prior N(0, I) or of bits, got {got}: use sampled_bound."
        )

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        hparams = inputs.hparams
        terms, q = vae.apply({"params": params}, keys, x, method="terms_and_stats")
        kl = vae.apply({"params": params}, q, method="closed_kl")
        warmup = jnp.where(
            hparams["warmup_cycles"] > 1,
            schedules.cyclical_warmup(inputs.step, hparams["warmup_steps"], hparams["warmup_cycles"]),
            schedules.linear_warmup(inputs.step, hparams["warmup_steps"]),
        )
        # A minimum of 0 is the plain KL.
        penalty = objectives.free_bits(kl, hparams["free_bits"], inputs.axis_name)
        value = objectives.elbo_analytic(terms.log_px, penalty, hparams["beta"] * warmup)
        total = jnp.sum(kl, axis=-1)
        reconstruction = -jnp.mean(terms.log_px, axis=0)
        return value, {"elbo": -reconstruction - total, "reconstruction": reconstruction, "kl": total}

    return bound


def sampled_bound(vae: VAE) -> Bound:
    """Return the ELBO of one sample, for any posterior and prior, with two weights of the KL read from `hparams`.

    beta: weight of the KL; warmup_steps: its rise from 0.

    Raises:
      ValueError: if draws of the posterior have not the gradient that a sampled KL needs.
    """
    if isinstance(vae.posterior, StraightThroughPosterior):
        raise ValueError("sampled_bound has a wrong gradient for a StraightThroughPosterior: use closed_bound.")

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        terms = vae.apply({"params": params}, keys, x)
        beta = inputs.hparams["beta"] * schedules.linear_warmup(inputs.step, inputs.hparams["warmup_steps"])
        elbo = objectives.elbo(terms)
        reconstruction = -jnp.mean(terms.log_px, axis=0)
        metrics = {"elbo": elbo, "reconstruction": reconstruction, "kl": -elbo - reconstruction}
        return objectives.elbo(terms, beta), metrics

    return bound


def binary_pixels(spec: DataSpec) -> Prepare:
    """Return the function that binarises images anew at every visit, with their intensity as the probability of 1."""
    return lambda keys, x: binarize(keys, x, spec.num_values)


def unit_pixels(spec: DataSpec) -> Prepare:
    """Return the function that scales images to [0, 1]."""
    return lambda keys, x: to_unit(x, spec.num_values)


def vae_experiment(
    *,
    name: str,
    spec: DataSpec,
    vae: VAE | HierarchicalVAE,
    prepare: Prepare,
    bound: Bound,
    score: Callable[[ELBOTerms, Mapping[str, Array]], Array],
    optimizer: optax.GradientTransformation,
    hparams: Mapping[str, float],
    num_samples: int = 1,
) -> Experiment:
    """Return the experiment that maximises a bound of a VAE.

    Args:
      name: of the experiment.
      spec: of the data.
      vae: the model.
      prepare: makes what the likelihood scores of the images.
      bound: the training objective.
      score: what the validation part is judged by, larger is better: (terms [S, B], hparams) -> [B].
      optimizer: of the negative bound.
      hparams: starting values of what the bound reads from `StepInput.hparams`.
      num_samples: S, latents per example in validation.
    """

    def init(key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        params_key, draw = jax.random.split(key)
        x = to_unit(batch.x, spec.num_values)
        params = vae.init(params_key, jax.random.split(draw, batch.mask.shape[0]), x)["params"]
        mean = jnp.average(x, axis=0, weights=batch.mask)
        return with_output_bias(params, vae.likelihood, mean), {}

    def loss(params: Params, model_state: ModelState, inputs: StepInput) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, draw = split_each(inputs.keys.examples)
        value, metrics = bound(params, draw, prepare(noise, inputs.batch.x), inputs)
        return -jnp.mean(value), (model_state, jax.tree.map(jnp.mean, metrics))

    def evaluate(
        params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        noise, draw = split_each(keys)
        x = prepare(noise, batch.x)
        metrics = {}
        if isinstance(vae, VAE) and vae.has_closed_kl:
            sampled, q = vae.apply({"params": params}, draw, x, num_samples, method="terms_and_stats")
            metrics["kl_per_dimension"] = vae.apply({"params": params}, q, method="closed_kl")
        else:
            sampled = vae.apply({"params": params}, draw, x, num_samples)
        elbo = objectives.elbo(sampled)
        reconstruction = -jnp.mean(sampled.log_px, axis=0)
        return {
            **metrics,
            "loss": -score(sampled, hparams),
            "elbo": elbo,
            "reconstruction": reconstruction,
            "kl": -elbo - reconstruction,
        }

    def sample(key: PRNGKey, params: Params, model_state: ModelState, num: int) -> Samples:
        latents, pixels = split_each(jax.random.split(key, num))
        return draw_images(vae, params, pixels, vae.apply({"params": params}, latents, method="prior_latents"))

    def encode(params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> tuple[Array, ...]:
        return vae.apply({"params": params}, keys, x, MEAN_SAMPLES, method="latent_means")

    def decode(params: Params, model_state: ModelState, keys: PRNGKey, z: Array) -> Array:
        images = draw_images(vae, params, keys, z)
        return images.x if images.mean is None else images.mean

    def posterior(params: Params, model_state: ModelState, x: Array) -> GaussianParams:
        return vae.apply({"params": params}, x, method="encode")

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
        posterior=posterior if isinstance(vae, VAE) and isinstance(vae.posterior, GaussianPosterior) else None,
    )


def likelihood_estimator(
    experiment: Experiment, num_samples: int, chunk_size: int
) -> Callable[[Params, ModelState, PRNGKey, Array], LikelihoodEstimate]:
    """Return the compiled importance sampling estimate of a VAE's images.

    Args:
      experiment: of `vae_experiment`.
      num_samples: k, latents for every image.
      chunk_size: of them at a time; the memory is in proportion.

    Returns:
      (params, model_state, keys [B], x of a `Batch`) -> estimates of the images as `evaluate` prepares them, [B] nats.
    """
    return _estimator(experiment.terms, experiment.prepare, num_samples, chunk_size)


def split_each(keys: PRNGKey, num: int = 2) -> tuple[PRNGKey, ...]:
    """Return `num` keys for every key, [B] -> [B], [B], ...."""
    parts = jax.vmap(lambda key: jax.random.split(key, num))(keys)
    return tuple(parts[:, i] for i in range(num))


# ---------- private


@functools.lru_cache(maxsize=1)  # members of a sweep that are evaluated one after another share the program
def _estimator(terms: Callable[..., ELBOTerms], prepare: Prepare, num_samples: int, chunk_size: int) -> Callable:
    @jit_estimate
    def estimate(params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> LikelihoodEstimate:
        noise, draw = split_each(keys)
        prepared = prepare(noise, x)
        return importance_estimate(
            lambda keys: terms(params, model_state, keys, prepared), draw, num_samples, chunk_size
        )

    return estimate
