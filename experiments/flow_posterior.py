"""Normalizing flows as the posterior of a VAE, all under one protocol (van den Berg et al. 2018, table 1).

Encoder, decoder, optimizer, warm-up, seeds and noise are the same; the flow on the diagonal Gaussian is what differs:
none, planar, radial, IAF, or one of the three Sylvester flows. Planar, radial and Sylvester flows have parameters that
are linear in the encoder's features; IAF's nets have the features as an input. All posteriors with a flow have the same
initial parameters but for the flow; those of the Gaussian's last layer are of other keys, as with another seed.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from experiments.common.compare import ComparisonConfig, compare_choices, variant_experiment
from experiments.common.vae import gaussian_vae
from experiments.run import Options, at_least, main, require
from jaxvae.flows import AutoregressiveFlow, PlanarFlow, RadialFlow, SylvesterFlow
from jaxvae.likelihoods import bernoulli
from jaxvae.posteriors import FlowPosterior
from jaxvae.types import DataSpec, Experiment

Posterior = Literal["gaussian", "planar", "radial", "iaf", "orthogonal", "householder", "triangular"]


@dataclass(frozen=True)
class Config(ComparisonConfig):
    """What shapes a run."""

    posteriors: tuple[Posterior, ...] = get_args(Posterior)
    """flows to compare; gains are over the first"""
    num_flows: int = 4
    """layers of every flow"""
    iaf_hidden: int = 320
    """width of the one hidden layer of IAF's nets"""
    num_columns: int = 16
    """bottleneck of orthogonal Sylvester flows, at most the latent's dimensions"""
    num_reflections: int = 8
    """of Householder Sylvester flows, at most the latent's dimensions"""

    def __post_init__(self) -> None:
        super().__post_init__()
        sound = 0 < len(self.posteriors) == len(set(self.posteriors))
        require("posteriors", self.posteriors, sound, "different ones")
        at_least(self, 0, "num_flows")
        at_least(self, 1, "iaf_hidden")
        for field in ("num_columns", "num_reflections"):
            value = getattr(self, field)
            require(field, value, 1 <= value <= self.latent_dim, f"1 to {self.latent_dim}, the latent's dimensions")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        names: Any = ("gaussian", "planar")
        return replace(self, posteriors=names, num_seeds=1, num_flows=2, steps=100, eval_every=50, nll_samples=20)


def build(config: Config, spec: DataSpec) -> Experiment:
    """Put the system of one posterior together, the first of the list."""
    vae = gaussian_vae(config.net, config.latent_dim, bernoulli(), spec, precision=config.precision)
    flow = make_flow(config.posteriors[0], config)
    if flow is not None:
        vae = vae.clone(posterior=FlowPosterior(vae.posterior, flow))
    return variant_experiment("flow_posterior", config, spec, vae)


def make_flow(posterior: Posterior, config: Config) -> Any:
    """Return the flow of a posterior, amortized; None for the Gaussian."""
    d, k = config.latent_dim, config.num_flows
    match posterior:
        case "gaussian":
            return None
        case "planar":
            return PlanarFlow(d, k, amortized=True)
        case "radial":
            return RadialFlow(d, k, amortized=True)
        case "iaf":
            return AutoregressiveFlow(d, k, (config.iaf_hidden,), amortized=True)
        case "orthogonal":
            return SylvesterFlow(d, k, "orthogonal", num_columns=config.num_columns, amortized=True)
        case "householder":
            return SylvesterFlow(d, k, "householder", num_reflections=config.num_reflections, amortized=True)
        case "triangular":
            return SylvesterFlow(d, k, "triangular", amortized=True)


def run(config: Config, options: Options) -> Path:
    """Train every posterior with every seed and state what it gains over the first."""
    return compare_choices("flow_posterior", config, build, options, "posteriors")


if __name__ == "__main__":
    main(Config, run, __doc__)
