"""beta-VAEs: total = reconstruction + beta * KL over a list of betas, drawn as a rate-distortion picture.

All betas are trained as one program, each is a run of its own in a sub-folder (Higgins et al. 2017; Alemi et al. 2018).
With `--data-sizes` the same is done for parts of the training set, which gives a learning curve; with `--init-from RUN`
as well, a second curve that starts from that run's parameters: transfer to a small data set.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from experiments.common.folder import FREE_FIELDS, run_record
from experiments.common.loading import Finished
from experiments.common.report import report, write_summary
from experiments.common.sweep import combinations, diverged, name_of, require_sound, table, totals
from experiments.common.training import begin, train_sweep
from experiments.common.vae import (
    Net,
    binary_pixels,
    closed_bound,
    cosine_adam,
    gaussian_vae,
    unit_pixels,
    vae_experiment,
)
from experiments.run import Config as RunConfig
from experiments.run import Options, at_least, main, require, run_folder
from jaxvae import data, objectives, viz
from jaxvae.likelihoods import bernoulli, gaussian
from jaxvae.training import distributed
from jaxvae.types import Dataset, DataSpec, Experiment


@dataclass(frozen=True)
class Config(RunConfig):
    """What shapes a run."""

    betas: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    """weights of the KL, a run each"""
    data_sizes: tuple[int, ...] = ()
    """numbers of training images, a run each; none uses them all"""
    net: Net = "mlp"
    """networks of encoder and decoder"""
    latent_dim: int = 16
    """dimensions of the latent"""
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    """cross-entropy on binarised images, or squared error on intensities"""
    sigma: float = 0.1
    """standard deviation of a pixel in [0, 1], for the gaussian likelihood"""
    warmup_steps: int = 0
    """steps over which the weight of the KL rises from 0 to beta"""
    free_bits: float = 0.0
    """nats per dimension below which the KL is not lowered"""
    steps: int = 2_000

    def __post_init__(self) -> None:
        super().__post_init__()
        require("betas", self.betas, _distinct(self.betas, 0) and bool(self.betas), "distinct numbers of at least 0")
        require("data_sizes", self.data_sizes, _distinct(self.data_sizes, 1), "distinct numbers of at least 1")
        at_least(self, 1, "latent_dim")
        require("sigma", self.sigma, self.sigma > 0, "more than 0")
        at_least(self, 0, "warmup_steps", "free_bits")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        return replace(self, betas=(1.0, 4.0), steps=100, eval_every=50, nll_samples=20)


def build(config: Config, spec: DataSpec) -> Experiment:
    """Put the system of one beta together, the first of the list."""
    (beta, *_) = config.betas
    binary = config.likelihood == "bernoulli"
    likelihood = bernoulli() if binary else gaussian(config.sigma)
    vae = gaussian_vae(config.net, config.latent_dim, likelihood, spec, precision=config.precision)

    return vae_experiment(
        name="beta_vae",
        spec=spec,
        vae=vae,
        prepare=(binary_pixels if binary else unit_pixels)(spec),
        bound=closed_bound(vae),
        score=lambda terms, hparams: objectives.elbo(terms, hparams["beta"]),
        optimizer=cosine_adam(config.learning_rate, config.steps),
        hparams={
            "beta": beta,
            "warmup_steps": config.warmup_steps,
            "warmup_cycles": 1,
            "free_bits": config.free_bits,
        },
    )


def run(config: Config, options: Options) -> Path:
    """Train every beta and every data size, all of them in one program, and draw them together."""
    splits, spec = data.load(config.data, image_size=config.image_size)
    most = len(splits.train.x)
    require("data_sizes", config.data_sizes, max(config.data_sizes, default=1) <= most, f"at most {most} images")
    folder = run_folder("beta_vae", options)
    record = run_record("beta_vae", config, spec, most, options.init_from)
    others = combinations(config, options.sweep, build(config, spec))
    record["sweep"] = others
    # The parts check their own settings.
    begin(folder, record, options.resume, FREE_FIELDS | {"betas", "data_sizes", "sweep"})

    starts = {"": replace(options, init_from=None)}
    if options.init_from:
        starts = {"_transfer": options, **(starts if config.data_sizes else {})}
    sizes = config.data_sizes or (most,)
    settings = [
        {"beta": beta, "images": size, **values} for beta in config.betas for size in sizes for values in others
    ]
    configs = [
        replace(config, betas=(beta,), data_sizes=(size,), **values)
        for beta in config.betas
        for size in sizes
        for values in others
    ]
    parts = [
        None if one["images"] == most else data.subset_rows(most, one["images"], part.seed)
        for one, part in zip(settings, configs, strict=True)
    ]
    rows: list[dict[str, Any]] = []
    finished: list[Finished] = []
    for suffix, start in starts.items():
        places = [folder / f"{name_of(values)}{suffix}" for values in settings]
        members = train_sweep(configs, build, splits, spec, places, start, parts)
        finished.extend(members)
        if not distributed.is_primary():
            continue
        for values, member, part in zip(settings, members, parts, strict=True):
            if diverged(member):
                continue
            summary = report(member, splits if part is None else splits._replace(train=_rows_of(splits.train, part)))
            rows.append({**values, "init_from": bool(suffix), **summary})
    if not distributed.is_primary():
        return folder

    require_sound(rows, finished)
    # Losses of different betas are no common measure; the bound is.
    best = max(rows, key=lambda row: row["valid"]["elbo"])
    names = (*settings[0], "init_from", "metrics", "valid")
    compact = [{name: row[name] for name in names} for row in rows]
    shown = ("nll", "elbo", "reconstruction", "kl", "active_units")
    print(table([{**{n: row[n] for n in settings[0]}, **{n: row["metrics"][n] for n in shown}} for row in rows]))
    training = {"steps": config.steps, **totals(finished, config.batch_size)}
    write_summary(folder, "beta_vae", training, {**best["metrics"], "beta": best["beta"]}, runs=compact)
    draw(folder, rows)
    return folder


def _rows_of(dataset: Dataset, rows: np.ndarray) -> Dataset:
    return Dataset(dataset.x[rows], None if dataset.labels is None else dataset.labels[rows])


def _distinct(values: tuple[float, ...], minimum: float) -> bool:
    return len(set(values)) == len(values) and all(value >= minimum for value in values)


def draw(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Draw rate against distortion over the betas, and the bound against the number of training images."""
    sizes = sorted({row["images"] for row in rows})
    full = [row for row in rows if row["images"] == sizes[-1] and row["init_from"] == rows[0]["init_from"]]
    if len({row["beta"] for row in rows}) > 1:
        viz.save_rate_distortion(
            folder / "figures" / "rate_distortion.png",
            np.array([row["metrics"]["kl"] for row in full]),
            np.array([row["metrics"]["reconstruction"] for row in full]),
            [f"{row['beta']:g}" for row in full],
        )
    if len(sizes) > 1:
        measured: dict[str, dict[int, list[float]]] = {}
        for row in rows:
            name = f"beta = {row['beta']:g}" + (", from another run" if row["init_from"] else "")
            measured.setdefault(name, {}).setdefault(row["images"], []).append(row["metrics"]["elbo"])
        viz.save_learning_curve(
            folder / "figures" / "learning_curve.png",
            np.array(sizes),
            {name: np.array([np.mean(values[size]) for size in sizes]) for name, values in measured.items()},
            "test ELBO (nats)",
        )


if __name__ == "__main__":
    main(Config, run, __doc__)
