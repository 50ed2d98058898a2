"""Variants of one system under one protocol: the same data, seeds and noise, in a table with their paired gains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.common.folder import FREE_FIELDS, run_record
from experiments.common.loading import Build
from experiments.common.report import report, write_summary
from experiments.common.sweep import diverged, require_sound, table, totals
from experiments.common.training import begin, train_sweep
from experiments.common.vae import Bound, Net, Prepare, binary_pixels, cosine_adam, sampled_bound, vae_experiment
from experiments.run import Config, Options, at_least, run_folder
from jaxvae import data, objectives
from jaxvae.errors import UserError
from jaxvae.models import VAE
from jaxvae.training import distributed
from jaxvae.types import Dataset, DataSpec, Experiment, Splits

CONFIDENCE = 0.95
SHOWN = ("nll", "elbo", "reconstruction", "kl", "active_units")


@dataclass(frozen=True)
class ComparisonConfig(Config):
    """What all comparisons of VAEs are configured by."""

    num_seeds: int = 3
    """trainings of each variant, from --seed upwards"""
    net: Net = "mlp"
    """networks of encoder and decoder"""
    latent_dim: int = 32
    """dimensions of the latent"""
    warmup_steps: int = 2_000
    """steps over which the weight of the KL rises from 0 to 1"""
    steps: int = 20_000
    eval_every: int = 1_000
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "num_seeds", "latent_dim")
        at_least(self, 0, "warmup_steps")


class Unit(NamedTuple):
    """What every variant is trained for: a seed, or a class of images."""

    name: str  # as "seed=0"
    changes: dict[str, Any]  # of the configuration
    splits: Splits  # that it is evaluated on
    rows: np.ndarray | None = None  # of the training images, all if None
    valid_rows: np.ndarray | None = None  # of the validation images, all if None


def variant_experiment(
    name: str,
    config: ComparisonConfig,
    spec: DataSpec,
    vae: VAE,
    bound: Bound | None = None,
    prepare: Prepare | None = None,
    **hparams: float,
) -> Experiment:
    """Return the experiment of one variant: a bound of images with a warm-up of its KL.

    Args:
      name: of the comparison.
      config: of the variant.
      spec: of the data.
      vae: the model that is evaluated.
      bound: the training objective; by default the sampled one of that model.
      prepare: makes what the likelihood scores of the images; by default they are binarised.
      hparams: what the bound reads beside `beta` and `warmup_steps`.
    """
    return vae_experiment(
        name=name,
        spec=spec,
        vae=vae,
        prepare=prepare or binary_pixels(spec),
        bound=bound or sampled_bound(vae),
        score=lambda terms, hparams: objectives.elbo(terms),
        optimizer=cosine_adam(config.learning_rate, config.steps),
        hparams={"beta": 1.0, "warmup_steps": config.warmup_steps, **hparams},
    )


def compare_choices(name: str, config: Any, build: Build, options: Options, field: str, prefix: str = "") -> Path:
    """Load the data and compare all values of a field of the configuration, with every seed.

    Args:
      name: of the experiment.
      config: of the comparison.
      build: (config, spec) -> Experiment, of the field's first value.
      options: how to run.
      field: a tuple of values.
      prefix: of the variants' names, before the value.

    Returns:
      The folder of the comparison.
    """
    splits, spec = data.load(config.data, image_size=config.image_size)
    folder = run_folder(name, options)
    variants = {f"{prefix}{value}": replace(config, **{field: (value,)}) for value in getattr(config, field)}
    compare(name, config, variants, seeds(config, splits), build, splits, spec, folder, options)
    return folder


def compare(
    name: str,
    config: Any,
    variants: Mapping[str, Any],
    units: Sequence[Unit],
    build: Build,
    splits: Splits,
    spec: DataSpec,
    folder: Path,
    options: Options,
) -> None:
    """Train every variant for every unit, evaluate each on the test part, and state the gains over the first variant.

    The units of a variant train as one program, in sub-folders that are runs like any other; a comparison that was
    ended goes on with `--resume`.

    Args:
      name: of the experiment.
      config: of the comparison.
      variants: configurations by name.
      units: seeds (`seeds`) or classes (`classes`).
      build: (config, spec) -> Experiment.
      splits: the data.
      spec: of the data.
      folder: of the comparison.
      options: how to run.
    """
    if options.sweep:
        raise UserError("--sweep is not for a comparison, which has seeds of its own: use --num-seeds.")
    record = run_record(name, config, spec, len(splits.train.x), options.init_from)
    listed = {field for field, value in record["config"].items() if isinstance(value, list)}
    # The parts check their own settings: more variants and seeds may be asked for later.
    begin(folder, record, options.resume, FREE_FIELDS | listed | {"num_seeds"})
    rows: list[dict[str, Any]] = []
    finished = []
    for variant, chosen in variants.items():
        members = train_sweep(
            [replace(chosen, num_seeds=1, **unit.changes) for unit in units],
            build,
            splits,
            spec,
            [folder / f"{variant}_{unit.name}" for unit in units],
            options,
            [unit.rows for unit in units],
            [unit.valid_rows for unit in units],
        )
        finished += members
        if distributed.is_primary():
            for unit, member in zip(units, members, strict=True):
                if not diverged(member):
                    rows.append({"variant": variant, "unit": unit.name, **report(member, unit.splits)})
    if distributed.is_primary():
        require_sound(rows, finished)
        summary = summarize(rows)
        print(table(summary))
        best = best_of(rows)
        of_best = next(row for row in summary if row["variant"] == best)
        compact = [{key: row[key] for key in ("variant", "unit", "metrics", "valid", "seconds")} for row in rows]
        training = {"steps": config.steps, **totals(finished, config.batch_size)}
        metrics = {key: value for key, value in of_best.items() if key != "variant"} | {"nll_k": config.nll_samples}
        write_summary(folder, name, training, metrics, best=best, variants=summary, runs=compact)


def seeds(config: Any, splits: Splits) -> list[Unit]:
    """Return `config.num_seeds` seeds, from the configuration's own upwards."""
    return [Unit(f"seed={seed}", {"seed": seed}, splits) for seed in range(config.seed, config.seed + config.num_seeds)]


def classes(splits: Splits) -> list[Unit]:
    """Return the classes of labelled images, each with its own part of the data.

    Raises:
      UserError: if there are no labels, or a class has no image in some part.
    """
    if any(part.labels is None for part in splits):
        raise UserError("A model for each class needs labels, which these data do not have: choose another --data.")
    units = []
    for label in np.unique(np.concatenate([part.labels for part in splits])):
        rows = [np.flatnonzero(part.labels == label) for part in splits]
        if not all(map(len, rows)):
            raise UserError(f"Class {label} has no image in some part of the data: choose data with more of them.")
        parts = Splits(
            *(Dataset(part.x[chosen], part.labels[chosen]) for part, chosen in zip(splits, rows, strict=True))
        )
        units.append(Unit(f"class={label}", {}, parts, rows[0], rows[1]))
    return units


def best_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the variant whose bound on the validation part is the highest, in the mean over its units."""
    elbos: dict[str, list[float]] = {}
    for row in rows:
        elbos.setdefault(row["variant"], []).append(row["valid"]["elbo"])
    return max(elbos, key=lambda variant: float(np.mean(elbos[variant])))


def summarize(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return means over the units of every variant, and what it gains over the first one, unit by unit.

    `gain` is the mean of NLL_first - NLL_variant and `kl_saved` that of KL_first - KL_variant over the units that both
    have, nats; `gain_within` and `kl_saved_within` are half the lengths of their 95 % intervals by Student's t, and
    `nll_sd` is the standard deviation between units, where there are two or more.
    """
    names = list(dict.fromkeys(row["variant"] for row in rows))
    of = {name: {row["unit"]: row["metrics"] for row in rows if row["variant"] == name} for name in names}
    first = of[names[0]]
    summary = []
    for name in names:
        mine = list(of[name].values())
        line: dict[str, Any] = {"variant": name, "units": len(mine)}
        line |= {metric: float(np.mean([one[metric] for one in mine])) for metric in SHOWN}
        if len(mine) > 1:
            line["nll_sd"] = float(np.std([one["nll"] for one in mine], ddof=1))
        both = [unit for unit in of[name] if unit in first]
        for saved, metric in (("gain", "nll"), ("kl_saved", "kl")) if name != names[0] and both else ():
            differences = np.array([first[unit][metric] - of[name][unit][metric] for unit in both])
            line[saved] = float(np.mean(differences))
            if len(both) > 1:
                line[f"{saved}_within"] = half_interval(differences)
        summary.append({key: round(value, 4) if isinstance(value, float) else value for key, value in line.items()})
    return summary


def half_interval(values: np.ndarray) -> float:
    """Return half the length of the 95 % interval of a mean, by Student's t."""
    from scipy.stats import t

    quantile = t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)
    return float(quantile * np.std(values, ddof=1) / np.sqrt(len(values)))
