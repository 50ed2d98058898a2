"""An experiment to copy to `experiments/`, or to a project of your own: a VAE with a planar flow in its posterior.

The first line says what it is and names the paper; `--help` opens with this text. `python -m experiments.NAME` trains
the default study, `--sweep none` the one model.
"""

from dataclasses import dataclass, replace

import jax.numpy as jnp

from jaxvae import objectives
from jaxvae.flows import PlanarFlow
from jaxvae.likelihoods import bernoulli
from jaxvae.posteriors import FlowPosterior
from jaxvae.runs.config import VAEConfig, at_least
from jaxvae.studies.cli import main
from jaxvae.systems.bounds import bound_metrics
from jaxvae.systems.networks import gaussian_vae
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, Metrics, Params, PRNGKey, StepInput, System

SWEEP = {"num_flows": (0, 4), "seed": (0, 1, 2)}  # gains are over the first value, seed by seed


@dataclass(frozen=True)
class Config(VAEConfig):
    """Configuration of a VAE with planar flows; every field is a flag, and its docstring the help text."""

    latent_dim: int = 16
    """dimensions of the latent"""
    num_flows: int = 4
    """planar flows in the posterior"""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "latent_dim")
        at_least(self, 0, "num_flows")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds, for `--quick`."""
        return replace(self, num_flows=2, steps=100, eval_every=50, nll_samples=20)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    vae = gaussian_vae("mlp", config.latent_dim, bernoulli(), spec, precision=config.precision)
    flow = PlanarFlow(config.latent_dim, config.num_flows, amortized=True)
    vae = vae.clone(posterior=FlowPosterior(vae.posterior, flow))

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        """Log p(x) >= E_q(z|x)[log p(x, z) - log q(z | x)], one number an image, nats."""
        terms = vae.apply({"params": params}, keys, x)
        elbo, reconstruction = objectives.elbo(terms), -jnp.mean(terms.log_px, axis=0)
        return elbo, bound_metrics(reconstruction, -elbo - reconstruction)

    return vae_system(
        name="my_experiment",
        spec=spec,
        vae=vae,
        prepare=binary_pixels(spec),
        bound=bound,
        optimizer=cosine_adam(config.learning_rate, config.steps),
    )


if __name__ == "__main__":
    main(Config, build, __doc__, sweep=SWEEP)
