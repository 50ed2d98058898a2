"""Learned priors of a VAE: a mixture of Gaussians, a VampPrior, RealNVP or MAF against N(0, I).

A learned prior matches the aggregate posterior, instead of asking it to match N(0, I) (Tomczak & Welling 2018; Chen et
al. 2017): it gains more than the same flow does in the posterior, and samples improve with it.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from jaxvae.flows import AutoregressiveFlow, CouplingFlow, Inverted
from jaxvae.likelihoods import bernoulli
from jaxvae.models import VAE
from jaxvae.priors import FlowPrior, MixturePrior, VampPrior, standard_normal
from jaxvae.runs.config import LatentConfig, at_least, require
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.bounds import sampled_bound
from jaxvae.systems.networks import gaussian_vae
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import cosine_adam
from jaxvae.types import DataSpec, System

PriorName = Literal["normal", "mixture", "vamp", "realnvp", "maf"]
SWEEP = {"prior": get_args(PriorName)}
QUICK_SWEEP = {"prior": ("normal", "realnvp")}


@dataclass(frozen=True)
class Config(LatentConfig):
    """Configuration of a VAE with a learned prior."""

    prior: PriorName = "realnvp"
    """prior p(z)"""
    num_components: int = 200
    """components of the mixture and of the VampPrior (pseudo-inputs)"""
    num_flows: int = 6
    """flow layers of RealNVP and MAF"""
    hidden: tuple[int, ...] = (128, 128)
    """hidden units of the networks in those layers"""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "num_components")
        at_least(self, 0, "num_flows")
        require("hidden", self.hidden, bool(self.hidden) and min(self.hidden) >= 1, "widths of at least 1")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        small = {"num_flows": 2, "hidden": (32,), "steps": 300, "warmup_steps": 100, "eval_every": 100}
        return replace(self, **small, nll_samples=20)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    vae = gaussian_vae(config.net, config.latent_dim, bernoulli(), spec, precision=config.precision)
    vae = vae.clone(prior=make_prior(config.prior, config, vae, spec))
    system = vae_system(
        name="learned_priors",
        spec=spec,
        vae=vae,
        prepare=binary_pixels(spec),
        bound=sampled_bound(vae),
        optimizer=cosine_adam(config.learning_rate, config.steps),
        hparams={"beta": 1.0, "warmup_steps": config.warmup_steps},
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


def make_prior(name: PriorName, config: Config, vae: VAE, spec: DataSpec) -> Any:
    """Return a prior of the latents of a VAE, whose encoder and posterior the VampPrior shares."""
    match name:
        case "normal":
            return standard_normal()
        case "mixture":
            return MixturePrior(config.latent_dim, config.num_components)
        case "vamp":
            return VampPrior(vae.encoder, vae.posterior, config.num_components, spec.shape)
        case "realnvp":
            return FlowPrior(CouplingFlow(config.latent_dim, config.num_flows, config.hidden))
        case "maf":
            return FlowPrior(Inverted(AutoregressiveFlow(config.latent_dim, config.num_flows, config.hidden)))


if __name__ == "__main__":
    main(Config, build, __doc__, sweep=SWEEP, quick_sweep=QUICK_SWEEP)
