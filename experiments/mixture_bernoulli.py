"""VAEs with a mixture of K products of Bernoullis as the likelihood, against one: K = 1, 2, 5 and any other.

The mixture weights are of a whole image: a mixture for every pixel would be one Bernoulli again. The components share
the encoder, the latent and all of the decoder but its last layer, which gives K images and K weights.
"""

from dataclasses import dataclass, replace

from jaxvae.likelihoods import bernoulli, bernoulli_mixture
from jaxvae.runs.config import LatentConfig, at_least
from jaxvae.studies.cli import main
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.bounds import sampled_bound
from jaxvae.systems.networks import gaussian_vae
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import cosine_adam
from jaxvae.types import DataSpec, System

SWEEP = {"num_components": (1, 2, 5, 10), "seed": (0, 1, 2)}


@dataclass(frozen=True)
class Config(LatentConfig):
    """Configuration of a VAE whose likelihood is a mixture of Bernoullis."""

    num_components: int = 5
    """mixture components, K"""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "num_components")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, steps=300, warmup_steps=100, eval_every=100, nll_samples=20)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    number = config.num_components
    likelihood = bernoulli() if number == 1 else bernoulli_mixture(number)
    vae = gaussian_vae(config.net, config.latent_dim, likelihood, spec, precision=config.precision)
    system = vae_system(
        name="mixture_bernoulli",
        spec=spec,
        vae=vae,
        prepare=binary_pixels(spec),
        bound=sampled_bound(vae),
        optimizer=cosine_adam(config.learning_rate, config.steps),
        hparams={"beta": 1.0, "warmup_steps": config.warmup_steps},
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


if __name__ == "__main__":
    main(Config, build, __doc__, sweep=SWEEP)
