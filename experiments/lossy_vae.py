"""Lossy compression by a VAE with rounded latents (Ballé et al. 2017, arXiv:1611.01704), and its rate-distortion curve.

The noise of rounding takes the place of a Gaussian posterior, so that the KL is the rate of the rounded latents. By
default several values of beta, the weight of the rate, are trained, each a run that `python -m jaxvae compress` takes.
"""

from dataclasses import dataclass, replace

import jax.numpy as jnp

from jaxvae.likelihoods import gaussian
from jaxvae.posteriors import UniformPosterior
from jaxvae.priors import BinnedPrior
from jaxvae.reports.rate_distortion import draw_rate_distortion
from jaxvae.runs.config import VAEConfig, at_least, require
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.bounds import bound_metrics
from jaxvae.systems.networks import Net, gaussian_vae
from jaxvae.systems.pixels import unit_pixels
from jaxvae.systems.vae_parts import beta_elbo_score, vae_system
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, Metrics, Params, PRNGKey, StepInput, System

SWEEP = {"beta": (0.25, 1.0, 4.0)}


@dataclass(frozen=True)
class Config(VAEConfig):
    """Configuration of a lossy VAE."""

    beta: float = 1.0
    """weight of the rate; larger ones make smaller files of coarser images"""
    sigma: float = 0.05
    """standard deviation of a pixel in [0, 1], by which squared errors become nats"""
    net: Net = "conv"
    """architecture of encoder and decoder"""
    latent_dim: int = 96
    """latent dimensions; those that are not worth their bits come to need none"""
    num_components: int = 3
    """logistics in the prior of every latent"""
    steps: int = 6_000
    learning_rate: float = 1.5e-3
    ema_decay: float = 0.999
    nll_samples: int = 20
    """importance samples per test image for the NLL, a density here"""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "beta")
        at_least(self, 1, "latent_dim", "num_components")
        require("sigma", self.sigma, self.sigma > 0, "more than 0")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, net="mlp", latent_dim=32, steps=300, eval_every=100)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    vae = gaussian_vae(config.net, config.latent_dim, gaussian(config.sigma), spec, precision=config.precision)
    vae = vae.clone(
        posterior=UniformPosterior(config.latent_dim), prior=BinnedPrior(config.latent_dim, config.num_components)
    )

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        """-(distortion + beta * rate), one number an image, nats: log q(z | x) = 0."""
        terms = vae.apply({"params": params}, keys, x)
        distortion, rate = -jnp.mean(terms.log_px, axis=0), -jnp.mean(terms.log_pz[..., 0], axis=0)
        return -distortion - inputs.hparams["beta"] * rate, bound_metrics(distortion, rate)

    system = vae_system(
        name="lossy_vae",
        spec=spec,
        vae=vae,
        prepare=unit_pixels(spec),
        bound=bound,
        score=beta_elbo_score,
        optimizer=cosine_adam(config.learning_rate, config.steps),
        hparams={"beta": config.beta},
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


if __name__ == "__main__":
    main(Config, build, __doc__, sweep=SWEEP, draw=draw_rate_distortion)
