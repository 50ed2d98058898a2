"""VAEs whose images are a mixture of K products of Bernoullis, beside those of one: K = 1, 2, 5 and any other.

The weights belong to an image: a mixture for every pixel would be one Bernoulli again. The components share the
encoder, the latent and all of the decoder but the last layer, which gives K images and K weights.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from experiments.common.compare import ComparisonConfig, compare_choices, variant_experiment
from experiments.common.vae import gaussian_vae
from experiments.run import Options, main, require
from jaxvae.likelihoods import bernoulli, bernoulli_mixture
from jaxvae.types import DataSpec, Experiment


@dataclass(frozen=True)
class Config(ComparisonConfig):
    """What shapes a run."""

    num_components: tuple[int, ...] = (1, 2, 5, 10)
    """Bernoullis to mix; gains are over the first"""

    def __post_init__(self) -> None:
        super().__post_init__()
        sound = 0 < len(self.num_components) == len(set(self.num_components)) and min(self.num_components) >= 1
        require("num_components", self.num_components, sound, "different numbers of at least 1")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        return replace(self, num_components=(1, 2), num_seeds=1, steps=100, eval_every=50, nll_samples=20)


def build(config: Config, spec: DataSpec) -> Experiment:
    """Put the system of one number of components together, the first of the list."""
    number = config.num_components[0]
    likelihood = bernoulli() if number == 1 else bernoulli_mixture(number)
    vae = gaussian_vae(config.net, config.latent_dim, likelihood, spec, precision=config.precision)
    return variant_experiment("mixture_bernoulli", config, spec, vae)


def run(config: Config, options: Options) -> Path:
    """Train every number of components with every seed and state what it gains over the first."""
    return compare_choices("mixture_bernoulli", config, build, options, "num_components", "K=")


if __name__ == "__main__":
    main(Config, run, __doc__)
