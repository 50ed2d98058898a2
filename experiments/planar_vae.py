"""VAE with planar flows in its posterior, K = 0, 5 and any other number of layers (Rezende & Mohamed 2015, sec. 6).

By default K = 0 and K = 5 are trained with three seeds each; the table states what the flow gains over none, seed by
seed. One model for each class of images: `--sweep num_flows=0,5 label=0,1,2,3,4,5,6,7,8,9`, gains class by class.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxvae import objectives, schedules, viz
from jaxvae.errors import UserError
from jaxvae.flows import PlanarFlow
from jaxvae.likelihoods import bernoulli
from jaxvae.posteriors import FlowPosterior
from jaxvae.runs.config import LatentConfig, at_least
from jaxvae.runs.files import read_records
from jaxvae.studies.cli import main
from jaxvae.studies.experiment import Selection, take_rows
from jaxvae.systems.bounds import bound_metrics
from jaxvae.systems.networks import gaussian_vae
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import cosine_adam
from jaxvae.types import Array, DataSpec, Metrics, Params, PRNGKey, Splits, StepInput, System

SWEEP = {"num_flows": (0, 5), "seed": (0, 1, 2)}
UNITS = ("seed", "label")


@dataclass(frozen=True)
class Config(LatentConfig):
    """Configuration of a VAE with planar flows in its posterior."""

    num_flows: int = 5
    """number of flow layers, K; 0 is the Gaussian posterior"""
    label: int | None = None
    """train on this class alone; on all by default"""
    amortized: bool = True
    """amortised flow: parameters linear in the encoder's features, instead of the same for all images"""
    latent_dim: int = 40
    warmup_steps: int = 1_000
    steps: int = 14_000
    """training steps: 30 epochs of MNIST"""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "num_flows")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, steps=300, warmup_steps=100, eval_every=100, nll_samples=20)


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    vae = gaussian_vae(config.net, config.latent_dim, bernoulli(), spec, precision=config.precision)
    flow = PlanarFlow(config.latent_dim, config.num_flows, config.amortized)
    vae = vae.clone(posterior=FlowPosterior(vae.posterior, flow))

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        """Log p(x) >= E[log p(x | z_K) + beta (log p(z_K) - log q_0(z_0) + sum_k log|1 + u_k^T psi_k|)] (eq. 15).

        One z_K of the flow; log q_K(z_K) is log q_0(z_0) less the log-determinants of the layers.
        """
        terms = vae.apply({"params": params}, keys, x)  # log p(x | z_K), log p(z_K), log q_K(z_K), [1, B]
        beta = schedules.linear_warmup(inputs.step, inputs.hparams["warmup_steps"])
        elbo, reconstruction = objectives.elbo(terms), -jnp.mean(terms.log_px, axis=0)
        return objectives.elbo(terms, beta), bound_metrics(reconstruction, -elbo - reconstruction)

    return vae_system(
        name="planar_vae",
        spec=spec,
        vae=vae,
        prepare=binary_pixels(spec),
        bound=bound,
        optimizer=cosine_adam(config.learning_rate, config.steps),
        hparams={"warmup_steps": config.warmup_steps},
    )


def select(config: Config, splits: Splits) -> Selection:
    """Return the images of the class that a configuration asks for."""
    if config.label is None:
        return Selection(splits)
    if any(part.labels is None for part in splits):
        raise UserError("--label needs labels, which these data do not have: choose another --data.")
    rows = [np.flatnonzero(part.labels == config.label) for part in splits]
    for name, found in zip(("training", "validation", "test"), rows, strict=True):
        if not len(found):
            raise UserError(f"--label {config.label} has no {name} image: choose a class that has.")
    return Selection(splits._replace(test=take_rows(splits.test, rows[2])), rows[0], rows[1])


def draw(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Draw the training losses of every K, a curve for each of its models."""
    curves: dict[str, list[tuple[list[int], list[float]]]] = {}
    for row in rows:
        records = [r for r in read_records(folder / row["run"]) if r["part"] == "train"]
        if len(records) > 1 and "num_flows" in row:
            curve = [r["step"] for r in records], [r["loss"] for r in records]
            curves.setdefault(f"K = {row['num_flows']}", []).append(curve)
    if curves:
        viz.save_losses(folder / "figures" / "losses.png", curves)


if __name__ == "__main__":
    main(Config, build, __doc__, sweep=SWEEP, arrays=("label",), units=UNITS, select=select, draw=draw)
