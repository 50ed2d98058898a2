"""Importance weighted autoencoders on dynamically binarised images (Burda, Grosse & Salakhutdinov 2016).

The nets are Burda's: tanh layers of 200 units, 50 latents (one stochastic layer) or 100 and 50 (two). The bound is the
ELBO of k samples (`vae`), the importance weighted bound (`iwae`), or the latter with the doubly reparameterised
gradient of Tucker et al. 2019 (`dreg`).
"""

from dataclasses import dataclass, replace
from typing import Literal

import flax.linen as nn

from jaxvae import objectives
from jaxvae.likelihoods import bernoulli
from jaxvae.models import VAE, HierarchicalVAE
from jaxvae.nets import MLP, ImageDecoder, MLPEncoder
from jaxvae.posteriors import GaussianPosterior
from jaxvae.runs.config import VAEConfig, at_least
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.networks import network_dtype
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vae_parts import elbo_score, iwae_score, vae_system
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, Metrics, Params, PRNGKey, StepInput, System


@dataclass(frozen=True)
class Config(VAEConfig):
    """Configuration of an importance weighted autoencoder."""

    objective: Literal["vae", "iwae", "dreg"] = "iwae"
    """training objective: ELBO (vae), importance weighted bound (iwae), or that with the DReG gradient (dreg)"""
    k: int = 5
    """importance samples in the bound"""
    num_layers: Literal[1, 2] = 1
    """stochastic layers, L"""
    steps: int = 20_000
    batch_size: int = 256
    learning_rate: float = 2.8e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "k")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, steps=400, eval_every=100, nll_samples=50)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    vae = burda_vae(config.num_layers, spec, config.precision)

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        """Log p(x) >= E[log 1/k sum_i p(x, z_i) / q(z_i | x)] with z_1, ..., z_k of q(z | x), in nats (eq. 8)."""
        terms = vae.apply({"params": params}, keys, x, config.k)  # densities [k, B]
        value = objectives.elbo(terms) if config.objective == "vae" else objectives.iwae(terms)
        return value, {"bound": value, "elbo": objectives.elbo(terms)}

    def dreg(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        """The same bound, with the gradient of Tucker et al. 2019, eq. 10."""
        apply = lambda params, *args, method: vae.apply({"params": params}, *args, method=method)  # noqa: E731
        value = objectives.dreg(
            params,
            sample=lambda params: apply(params, keys, x, config.k, method="draw"),
            log_joint=lambda params, z: apply(params, x, z, method="log_joint"),
            log_posterior=lambda params, z: apply(params, x, z, method="log_posterior"),
        )
        return value, {"bound": value}

    system = vae_system(
        name="iwae",
        spec=spec,
        vae=vae,
        prepare=binary_pixels(spec),
        bound=dreg if config.objective == "dreg" else bound,
        score=elbo_score if config.objective == "vae" else iwae_score,
        optimizer=cosine_adam(config.learning_rate, config.steps, eps=1e-4),
        num_samples=config.k,
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


def burda_vae(num_layers: int, spec: DataSpec, precision: str = "float32") -> VAE | HierarchicalVAE:
    """Return the model of Burda et al. 2016, sec. 5: 784-200-200-50, or 784-200-200-100-100-100-50."""
    likelihood = bernoulli()
    dtype = network_dtype(precision)
    style = {"activation": nn.tanh, "kernel_init": nn.initializers.glorot_uniform(), "dtype": dtype}
    net = lambda *hidden: MLP(hidden, **style)  # noqa: E731
    encoder = MLPEncoder((200, 200), **style)
    decoder = ImageDecoder(net(200, 200), likelihood.param_shapes(spec.shape), dtype)
    if num_layers == 1:
        return VAE(encoder, GaussianPosterior(50), decoder, likelihood)
    return HierarchicalVAE(
        encoders=(encoder, net(100, 100)),
        posteriors=(GaussianPosterior(100), GaussianPosterior(50)),
        generators=(net(100, 100),),
        conditionals=(GaussianPosterior(100),),
        decoder=decoder,
        likelihood=likelihood,
    )


if __name__ == "__main__":
    main(Config, build, __doc__)
