"""A convolutional VAE that learns binary images and generates new ones: the main job.

Images with more than two values are binarised anew at every visit, with their intensity as the probability of a one
(Salakhutdinov & Murray 2008); binary images, such as masks, are taken as they are. The figures show sampled binary
images, not only means.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from experiments.common.vae import Net, binary_pixels, closed_bound, cosine_adam, gaussian_vae, vae_experiment
from experiments.run import Config as RunConfig
from experiments.run import Options, at_least, main, run_single
from jaxvae import objectives
from jaxvae.likelihoods import bernoulli
from jaxvae.types import DataSpec, Experiment


@dataclass(frozen=True)
class Config(RunConfig):
    """What shapes a run."""

    net: Net = "conv"
    """networks of encoder and decoder"""
    latent_dim: int = 16
    """dimensions of the latent"""
    num_blocks: int = 1
    """residual blocks in every stage of resnet"""
    remat: bool = False
    """compute the blocks of resnet again for the gradient instead of keeping their results: less memory, more time"""
    warmup_steps: int = 0
    """steps over which the weight of the KL rises from 0 to 1, against posterior collapse"""
    warmup_cycles: int = 1
    """rises within those steps; more than 1 is the cyclical schedule"""
    free_bits: float = 0.0
    """nats per dimension below which the KL is not lowered, against posterior collapse"""
    learning_rate: float = 2e-3
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "latent_dim", "num_blocks", "warmup_cycles")
        at_least(self, 0, "warmup_steps", "free_bits")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        return replace(self, steps=200, eval_every=100, nll_samples=50)


def build(config: Config, spec: DataSpec) -> Experiment:
    """Put the system together."""
    vae = gaussian_vae(
        config.net,
        config.latent_dim,
        bernoulli(),
        spec,
        precision=config.precision,
        num_blocks=config.num_blocks,
        remat=config.remat,
    )
    return vae_experiment(
        name="binary_vae",
        spec=spec,
        vae=vae,
        prepare=binary_pixels(spec),
        bound=closed_bound(vae),
        score=lambda terms, hparams: objectives.elbo(terms),
        optimizer=cosine_adam(config.learning_rate, config.steps),
        hparams={
            "beta": 1.0,
            "warmup_steps": config.warmup_steps,
            "warmup_cycles": config.warmup_cycles,
            "free_bits": config.free_bits,
        },
    )


def run(config: Config, options: Options) -> Path:
    """Train, evaluate, draw."""
    return run_single(config, build, options, "binary_vae")


if __name__ == "__main__":
    main(Config, run, __doc__)
