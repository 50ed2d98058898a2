"""What the command line knows of an experiment: its configuration, build function and default study."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvae import data
from jaxvae.reports.report import Evaluation
from jaxvae.runs.options import Options
from jaxvae.runs.train import Build
from jaxvae.studies.axes import Axes
from jaxvae.types import Dataset, DataSpec, Splits

Row = dict[str, Any]
# (configs that may share a program, their folders, options, splits, spec) -> a summary of each run, {"failure": ...} of
# one that diverged
Members = Callable[[Sequence[Any], Sequence[Path], Options, Splits, DataSpec], list[Row]]
# (all configurations, options, splits, spec): raises a `UserError` before a folder is made
Check = Callable[[Sequence[Any], Options, Splits, DataSpec], None]


class Selection(NamedTuple):
    """The examples that one configuration trains and is evaluated on."""

    splits: Splits  # that it is evaluated on
    rows: np.ndarray | None = None  # of the training examples, all if None
    valid_rows: np.ndarray | None = None  # of the validation examples, all if None

    def trained_on(self) -> Splits:
        """Return the parts with these examples alone, for a training by itself."""
        train, valid, test = self.splits
        return Splits(take_rows(train, self.rows), take_rows(valid, self.valid_rows), test)


class Experiment(NamedTuple):
    """The settings of an experiment: the arguments of `jaxvae.studies.cli.main`."""

    name: str  # of the folder of its runs
    config_class: type[Any]
    build: Build | None  # (config, spec) -> System; None of one that trains nothing itself
    sweep: Axes | None = None  # the default study
    quick_sweep: Axes | None = None  # that of `--quick`; by default two values of the first field, one of the others
    arrays: Sequence[str] = ()  # fields that enter a program as arrays, beside seed, learning_rate and hparams
    units: Sequence[str] = ("seed",)  # fields over which a study takes means
    select: Callable[[Any, Splits], Selection] | None = None
    members: Members | None = None  # trains and evaluates a group of a study; by default `train_members`
    load: Callable[[Any], tuple[Splits, DataSpec]] | None = None  # the data of a configuration; by default its images
    data_fields: Sequence[str] = ("data", "image_size")  # what the data of a configuration depend on
    check: Check | None = None
    draw: Callable[[Path, list[Row]], None] | None = None  # the figure of a study beside the common one
    evaluation: Evaluation | None = None  # how a run is reported; by default by what its system can do
    run: Callable[[Any, Options], Path] | None = None  # an experiment of stages or of finished runs


def load_data(experiment: Experiment, config: Any) -> tuple[Splits, DataSpec]:
    """Return the data of a configuration and their spec."""
    if experiment.load is not None:
        return experiment.load(config)
    return data.load(config.data, image_size=config.image_size, default_size=config.default_size)


def take_rows(dataset: Dataset, rows: np.ndarray | None) -> Dataset:
    """Return some examples of a part, all if rows are None."""
    if rows is None:
        return dataset
    return Dataset(dataset.x[rows], None if dataset.labels is None else dataset.labels[rows])


def quick_axes(axes: Axes) -> dict[str, tuple[Any, ...]]:
    """Return two values of the first field of a study and the first of all others."""
    return {name: values[: 2 if i == 0 else 1] for i, (name, values) in enumerate(axes.items())}


def array_fields(experiment: Experiment, config: Any, hparams: Mapping[str, Any]) -> frozenset[str]:
    """Return the fields of a configuration in which the members of one program may differ."""
    fields = {field.name for field in dataclasses.fields(config)}
    return frozenset({"seed", "learning_rate", *experiment.arrays, *hparams} & fields)
