"""Planar flows as the posterior of a VAE, of K = 0, 5 and any other number of layers (Rezende & Mohamed 2015, sec. 6).

With `--per-class` one model is trained for each class of images, all classes of a K as one program; else there are
several seeds. The table states test NLL and what each K gains over the first, class by class or seed by seed; the
figure has the training losses of all models, whole and without their first record.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.common.compare import ComparisonConfig, Unit, classes, compare, seeds, variant_experiment
from experiments.common.folder import read_records, writing
from experiments.common.vae import gaussian_vae
from experiments.run import Options, main, require, run_folder
from jaxvae import data, viz
from jaxvae.flows import PlanarFlow
from jaxvae.likelihoods import bernoulli
from jaxvae.posteriors import FlowPosterior
from jaxvae.training import distributed
from jaxvae.types import DataSpec, Experiment


@dataclass(frozen=True)
class Config(ComparisonConfig):
    """What shapes a run."""

    num_flows: tuple[int, ...] = (0, 5)
    """layers K, a model each; gains are over the first"""
    per_class: bool = False
    """one model for each class of images instead of one for all"""
    amortized: bool = True
    """whether the parameters of the flow are linear in the encoder's features, or the same for all images"""
    latent_dim: int = 40
    warmup_steps: int = 1_000
    steps: int = 14_000
    """30 epochs of MNIST"""

    def __post_init__(self) -> None:
        super().__post_init__()
        sound = 0 < len(self.num_flows) == len(set(self.num_flows)) and min(self.num_flows) >= 0
        require("num_flows", self.num_flows, sound, "different numbers of at least 0")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        return replace(self, num_flows=(0, 2), num_seeds=1, steps=100, eval_every=50, nll_samples=20)


def build(config: Config, spec: DataSpec) -> Experiment:
    """Put the system of one number of layers together, the first of the list."""
    vae = gaussian_vae(config.net, config.latent_dim, bernoulli(), spec, precision=config.precision)
    flow = PlanarFlow(config.latent_dim, config.num_flows[0], config.amortized)
    vae = vae.clone(posterior=FlowPosterior(vae.posterior, flow))
    return variant_experiment("planar_vae", config, spec, vae)


def run(config: Config, options: Options) -> Path:
    """Train every K for every seed or class and state what it gains over the first."""
    splits, spec = data.load(config.data, image_size=config.image_size)
    units = classes(splits) if config.per_class else seeds(config, splits)
    folder = run_folder("planar_vae", options)
    variants = {f"K={num}": replace(config, num_flows=(num,)) for num in config.num_flows}
    compare("planar_vae", config, variants, units, build, splits, spec, folder, options)
    if distributed.is_primary():
        with writing(folder):
            draw(folder, variants, units)
    return folder


def draw(folder: Path, variants: Iterable[str], units: Sequence[Unit]) -> None:
    """Draw the training losses of every K, a curve for each of its models."""
    curves: dict[str, list[tuple[list[int], list[float]]]] = {}
    for variant in variants:
        for unit in units:
            records = [r for r in read_records(folder / f"{variant}_{unit.name}") if r["part"] == "train"]
            if len(records) > 1:
                curves.setdefault(variant, []).append(([r["step"] for r in records], [r["loss"] for r in records]))
    if curves:
        viz.save_losses(folder / "figures" / "losses.png", curves)


if __name__ == "__main__":
    main(Config, run, __doc__)
