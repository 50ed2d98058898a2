"""Normalizing flows as the posterior of a VAE, all under one protocol (van den Berg et al. 2018, table 1).

Encoder, decoder, optimizer, warm-up, seeds and noise are the same; the flow on the diagonal Gaussian is what differs:
none, planar, radial, IAF, or one of the three Sylvester flows. Planar, radial and Sylvester flows have parameters that
are linear in the encoder's features; IAF's nets have the features as an input. All posteriors with a flow have the same
initial parameters but for the flow; those of the Gaussian's last layer are of other keys, as with another seed.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from jaxvae.flows import AutoregressiveFlow, PlanarFlow, RadialFlow, SylvesterFlow
from jaxvae.likelihoods import bernoulli
from jaxvae.posteriors import FlowPosterior
from jaxvae.runs.config import LatentConfig, at_least, require
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.bounds import sampled_bound
from jaxvae.systems.networks import gaussian_vae
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import cosine_adam
from jaxvae.types import DataSpec, System

Posterior = Literal["gaussian", "planar", "radial", "iaf", "orthogonal", "householder", "triangular"]
SWEEP = {"posterior": get_args(Posterior), "seed": (0, 1, 2)}


@dataclass(frozen=True)
class Config(LatentConfig):
    """Configuration of a VAE with a normalizing flow in its posterior."""

    posterior: Posterior = "gaussian"
    """posterior: a diagonal Gaussian, or a flow on it"""
    num_flows: int = 4
    """number of flow layers"""
    iaf_hidden: int = 320
    """hidden units of IAF's networks"""
    num_columns: int = 16
    """columns (bottleneck) of orthogonal Sylvester flows, at most --latent-dim"""
    num_reflections: int = 8
    """reflections of Householder Sylvester flows, at most --latent-dim"""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "num_flows")
        at_least(self, 1, "iaf_hidden")
        for field in ("num_columns", "num_reflections"):
            value = getattr(self, field)
            require(field, value, 1 <= value <= self.latent_dim, f"1 to {self.latent_dim}, the latent's dimensions")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, num_flows=2, steps=300, warmup_steps=100, eval_every=100, nll_samples=20)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    vae = gaussian_vae(config.net, config.latent_dim, bernoulli(), spec, precision=config.precision)
    flow = make_flow(config.posterior, config)
    if flow is not None:
        vae = vae.clone(posterior=FlowPosterior(vae.posterior, flow))
    system = vae_system(
        name="flow_posterior",
        spec=spec,
        vae=vae,
        prepare=binary_pixels(spec),
        bound=sampled_bound(vae),
        optimizer=cosine_adam(config.learning_rate, config.steps),
        hparams={"beta": 1.0, "warmup_steps": config.warmup_steps},
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


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


if __name__ == "__main__":
    main(Config, build, __doc__, sweep=SWEEP)
