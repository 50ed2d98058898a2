"""beta-VAE: reconstruction + beta * KL (Higgins et al. 2017), with its rate-distortion curve (Alemi et al. 2018).

By default several values of beta are trained as one program, each a run of its own in a sub-folder. A study over
`num_train` gives learning curves: `--sweep num_train=500,1000,2000`.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from jaxvae import data, objectives, schedules, viz
from jaxvae.likelihoods import bernoulli, gaussian
from jaxvae.reports.rate_distortion import draw_rate_distortion
from jaxvae.runs.config import VAEConfig, at_least, require
from jaxvae.studies.cli import main
from jaxvae.studies.experiment import Selection
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.bounds import bound_metrics
from jaxvae.systems.networks import Net, gaussian_vae
from jaxvae.systems.pixels import binary_pixels, unit_pixels
from jaxvae.systems.vae_parts import beta_elbo_score, vae_system
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, Metrics, Params, PRNGKey, Splits, StepInput, System

SWEEP = {"beta": (0.25, 0.5, 1.0, 2.0, 4.0)}


@dataclass(frozen=True)
class Config(VAEConfig):
    """Configuration of a beta-VAE."""

    beta: float = 1.0
    """weight of the KL, beta"""
    num_train: int | None = None
    """number of training images, drawn by the seed; all by default"""
    net: Net = "mlp"
    """architecture of encoder and decoder"""
    latent_dim: int = 16
    """latent dimensions"""
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    """pixel distribution: Bernoulli of binarised images, or Gaussian of intensities"""
    sigma: float = 0.1
    """standard deviation of a pixel in [0, 1], for the gaussian likelihood"""
    warmup_steps: int = 0
    """steps of linear KL warm-up from 0 to beta"""
    free_bits: float = 0.0
    """free bits: KL per dimension, in nats, that is not penalised"""
    steps: int = 2_000

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "beta", "warmup_steps", "free_bits")
        at_least(self, 1, "latent_dim")
        require("num_train", self.num_train, self.num_train is None or self.num_train >= 1, "at least 1")
        require("sigma", self.sigma, self.sigma > 0, "more than 0")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, steps=300, eval_every=100, nll_samples=20)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    binary = config.likelihood == "bernoulli"
    likelihood = bernoulli() if binary else gaussian(config.sigma)
    vae = gaussian_vae(config.net, config.latent_dim, likelihood, spec, precision=config.precision)

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        """E_q(z|x)[log p(x | z)] - beta KL(q(z | x) || p(z)), per image in nats (Higgins et al., eq. 4)."""
        hparams = inputs.hparams
        terms, q = vae.apply({"params": params}, keys, x, method="terms_and_stats")
        kl = vae.apply({"params": params}, q, method="closed_kl")  # [B, D]
        beta = hparams["beta"] * schedules.linear_warmup(inputs.step, hparams["warmup_steps"])
        penalty = objectives.free_bits(kl, hparams["free_bits"], inputs.axis_name)
        value = objectives.elbo_analytic(terms.log_px, penalty, beta)
        return value, bound_metrics(-jnp.mean(terms.log_px, axis=0), jnp.sum(kl, axis=-1))

    system = vae_system(
        name="beta_vae",
        spec=spec,
        vae=vae,
        prepare=(binary_pixels if binary else unit_pixels)(spec),
        bound=bound,
        score=beta_elbo_score,
        optimizer=cosine_adam(config.learning_rate, config.steps),
        hparams={name: getattr(config, name) for name in ("beta", "warmup_steps", "free_bits")},
    )
    return augmented(system, shift=config.shift, flip=config.flip, steps=config.steps)


def select(config: Config, splits: Splits) -> Selection:
    """Return the subset of the training images of a configuration."""
    if config.num_train is None:
        return Selection(splits)
    most = len(splits.train.x)
    require("num_train", config.num_train, config.num_train <= most, f"at most {most} images")
    return Selection(splits, data.subset_rows(most, config.num_train, config.seed))


def draw(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Draw rate against distortion where beta varies, and the ELBO where the number of training images does."""
    draw_rate_distortion(folder, rows)
    sizes = sorted({row["num_train"] for row in rows if row.get("num_train")})
    if len(sizes) > 1:
        elbos: dict[str, dict[int, list[float]]] = {}
        for row in rows:
            name = f"\N{GREEK SMALL LETTER BETA} = {row['beta']:g}" if "beta" in row else "ELBO"
            elbos.setdefault(name, {}).setdefault(row["num_train"], []).append(row["metrics"]["elbo"])
        curves = {name: np.array([np.mean(of.get(n, [np.nan])) for n in sizes]) for name, of in elbos.items()}
        viz.save_learning_curve(folder / "figures" / "learning_curve.png", np.array(sizes), curves, "test ELBO [nats]")


if __name__ == "__main__":
    main(Config, build, __doc__, sweep=SWEEP, arrays=("num_train",), select=select, draw=draw)
