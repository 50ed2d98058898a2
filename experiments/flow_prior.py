"""Learned priors of a VAE: the same encoder and decoder with N(0, I), a mixture, a VampPrior, RealNVP or MAF.

A learned prior moves to where the posteriors of the data are, instead of asking them to fill a ball (Tomczak & Welling
2018; Chen et al. 2017): it gains more than the same flow does in the posterior, and samples gain with it.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from experiments.common.compare import ComparisonConfig, compare_choices, variant_experiment
from experiments.common.vae import gaussian_vae
from experiments.run import Options, at_least, main, require
from jaxvae.flows import AutoregressiveFlow, CouplingFlow, Inverted
from jaxvae.likelihoods import bernoulli
from jaxvae.models import VAE
from jaxvae.priors import FlowPrior, MixturePrior, VampPrior, standard_normal
from jaxvae.types import DataSpec, Experiment

PriorName = Literal["normal", "mixture", "vamp", "realnvp", "maf"]


@dataclass(frozen=True)
class Config(ComparisonConfig):
    """What shapes a run."""

    priors: tuple[PriorName, ...] = get_args(PriorName)
    """priors to compare; gains are over the first"""
    num_seeds: int = 1
    num_components: int = 200
    """of the mixture and the VampPrior"""
    num_flows: int = 6
    """layers of RealNVP and MAF"""
    hidden: tuple[int, ...] = (128, 128)
    """widths of the nets in those layers"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require("priors", self.priors, 0 < len(self.priors) == len(set(self.priors)), "different ones")
        at_least(self, 1, "num_components")
        at_least(self, 0, "num_flows")
        require("hidden", self.hidden, bool(self.hidden) and min(self.hidden) >= 1, "widths of at least 1")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        names: Any = ("normal", "realnvp")
        return replace(self, priors=names, num_flows=2, hidden=(32,), steps=100, eval_every=50, nll_samples=20)


def build(config: Config, spec: DataSpec) -> Experiment:
    """Put the system of one prior together, the first of the list."""
    vae = gaussian_vae(config.net, config.latent_dim, bernoulli(), spec, precision=config.precision)
    vae = vae.clone(prior=make_prior(config.priors[0], config, vae, spec))
    return variant_experiment("flow_prior", config, spec, vae)


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


def run(config: Config, options: Options) -> Path:
    """Train every prior with every seed and state what it gains over the first."""
    return compare_choices("flow_prior", config, build, options, "priors")


if __name__ == "__main__":
    main(Config, run, __doc__)
