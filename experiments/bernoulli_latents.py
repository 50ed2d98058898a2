"""VAEs with Bernoulli latents: relaxed (Concrete) or straight-through, mixture posteriors and priors; and Gaussians.

Encoder, decoder, optimizer, warm-up, seeds and noise are the same. Whatever estimator a Bernoulli variant is trained
with, it is evaluated as the discrete model, with probability masses. The training log has the bound of the relaxed
model, which is another model's and lower.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import jax.numpy as jnp

from jaxvae import objectives, schedules
from jaxvae.likelihoods import bernoulli
from jaxvae.models import VAE, relaxed
from jaxvae.posteriors import BernoulliPosterior, GaussianPosterior, MixturePosterior, StraightThroughPosterior
from jaxvae.priors import BernoulliMixturePrior, BernoulliPrior, fair_bernoulli
from jaxvae.runs.config import LatentConfig, at_least, require
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.bounds import bound_metrics, closed_bound, sampled_bound
from jaxvae.systems.networks import gaussian_vae
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vae_parts import Bound, vae_system
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, Metrics, Params, PRNGKey, StepInput, System

Latents = Literal[
    "gaussian",
    "gaussian_mixture",
    "straight_through",
    "relaxed",
    "mixture_posterior",
    "learned_prior",
    "mixture_prior",
]
SWEEP = {"latents": get_args(Latents)}
QUICK_SWEEP = {"latents": ("gaussian", "relaxed")}


@dataclass(frozen=True)
class Config(LatentConfig):
    """Configuration of a VAE with Bernoulli latents."""

    latents: Latents = "relaxed"
    """type of the latents, and their gradient estimator"""
    latent_dim: int = 64
    num_posteriors: int = 4
    """mixture components of the posterior"""
    num_priors: int = 200
    """mixture components of the prior"""
    temperature: float = 1.0
    """initial temperature of the relaxed latents"""
    final_temperature: float = 0.2
    """final temperature, reached by exponential decay"""
    prior_temperature: float = 0.25
    """temperature of the relaxed prior, relative to the posterior's: at 1 the KL of certain bits is far too large"""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "num_posteriors", "num_priors")
        for field in ("temperature", "final_temperature", "prior_temperature"):
            require(field, getattr(self, field), getattr(self, field) > 0, "more than 0")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, latent_dim=32, steps=300, warmup_steps=100, eval_every=100, nll_samples=20)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    gaussian = gaussian_vae(config.net, config.latent_dim, bernoulli(), spec, precision=config.precision)
    vae = evaluated_vae(config.latents, config, gaussian)
    swept = ("warmup_steps", "temperature", "final_temperature", "prior_temperature")
    system = vae_system(
        name="bernoulli_latents",
        spec=spec,
        vae=vae,
        prepare=binary_pixels(spec),
        bound=training_bound(config.latents, config, vae),
        optimizer=cosine_adam(config.learning_rate, config.steps),
        hparams={"beta": 1.0, "free_bits": 0.0, **{name: getattr(config, name) for name in swept}},
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


def evaluated_vae(latents: Latents, config: Config, gaussian: VAE) -> VAE:
    """Return the model that is evaluated, made from a VAE with Gaussian latents."""
    dim, bits = config.latent_dim, BernoulliPosterior(config.latent_dim)
    match latents:
        case "gaussian":
            return gaussian
        case "gaussian_mixture":
            return gaussian.clone(posterior=MixturePosterior(GaussianPosterior(dim), config.num_posteriors))
        case "mixture_posterior":
            posterior = MixturePosterior(bits, config.num_posteriors)
            return gaussian.clone(posterior=posterior, prior=fair_bernoulli())
        case "learned_prior":
            return gaussian.clone(posterior=bits, prior=BernoulliPrior(dim))
        case "mixture_prior":
            return gaussian.clone(posterior=bits, prior=BernoulliMixturePrior(dim, config.num_priors))
        case _:
            return gaussian.clone(posterior=bits, prior=fair_bernoulli())


def training_bound(latents: Latents, config: Config, vae: VAE) -> Bound:
    """Return the training bound: of the evaluated model, or of a relaxation with the same parameters."""
    match latents:
        case "gaussian":
            return sampled_bound(vae)
        case "gaussian_mixture":
            return stratified_bound(vae)
        case "straight_through":
            return closed_bound(vae.clone(posterior=StraightThroughPosterior(config.latent_dim)))
        case "mixture_posterior":
            return relaxed_bound(stratified_bound, config, vae)
        case _:
            return relaxed_bound(sampled_bound, config, vae)


def stratified_bound(vae: VAE) -> Bound:
    """Return the stratified ELBO of a mixture posterior, one sample per component, weighted as `sampled_bound`."""

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        terms, log_weights = vae.apply({"params": params}, keys, x, method="stratified")
        beta = inputs.hparams["beta"] * schedules.linear_warmup(inputs.step, inputs.hparams["warmup_steps"])
        elbo = objectives.stratified_elbo(terms, log_weights)
        reconstruction = -objectives.stratified_elbo(terms, log_weights, beta=0.0)
        metrics = bound_metrics(reconstruction, -elbo - reconstruction)
        return objectives.stratified_elbo(terms, log_weights, beta), metrics

    return bound


def relaxed_bound(bound_of: Callable[[VAE], Bound], config: Config, vae: VAE) -> Bound:
    """Return a bound of the relaxed model, with the temperature decaying to `final_temperature`."""

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        hparams = inputs.hparams
        start, end = hparams["temperature"], hparams["final_temperature"]
        temperature = start * (end / start) ** jnp.clip(inputs.step / config.steps, 0.0, 1.0)
        model = relaxed(vae, temperature, hparams["prior_temperature"] * temperature)
        value, metrics = bound_of(model)(params, keys, x, inputs)
        return value, {**metrics, "temperature": temperature}

    return bound


if __name__ == "__main__":
    main(Config, build, __doc__, sweep=SWEEP, quick_sweep=QUICK_SWEEP)
