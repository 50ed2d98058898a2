"""Which runs of a study share a program."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from jaxvae.runs.config import TrainingConfig
from jaxvae.studies.experiment import Experiment, Selection, array_fields
from jaxvae.studies.study import grouped
from jaxvae.types import Dataset, DataSpec, Splits, System, Trainable

SPEC = DataSpec((2, 2, 1), 2, 0)


@dataclass(frozen=True)
class Config(TrainingConfig):
    beta: float = 1.0
    width: int = 3
    label: int | None = None


def build(config, spec):
    trainable = Trainable(lambda key, batch: ({}, {}), (), lambda *a: {}, {"beta": config.beta, "inner": 1.0})
    return System("toy", spec, lambda keys, x: x, trainable, ())


EXPERIMENT = Experiment("toy", Config, build, arrays=("label",))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{"seed": 0}, {"seed": 1}, {"learning_rate": 1.0}], [[0, 1, 2]]),
        ([{"beta": 0.5}, {"beta": 2.0}, {"label": 1}], [[0, 1, 2]]),  # hparams, and what the experiment says
        ([{"width": 3, "seed": 0}, {"width": 4, "seed": 0}, {"width": 3, "seed": 1}], [[0, 2], [1]]),
        ([{"steps": 5}, {"steps": 6}], [[0], [1]]),
    ],
)
def test_runs_that_differ_in_arrays_share_a_program(changes, expected):
    assert grouped(EXPERIMENT, [replace(Config(), **change) for change in changes], SPEC) == expected


def test_array_fields_are_fields_of_the_configuration():
    hparams = build(Config(), SPEC).trainable.hparams
    assert array_fields(EXPERIMENT, Config(), hparams) == {"seed", "learning_rate", "label", "beta"}


def test_a_selection_of_rows_is_a_data_set_of_them():
    x, labels = np.arange(10).reshape(10, 1), np.arange(10)
    splits = Splits(*[Dataset(x, labels)] * 3)
    found = Selection(splits, np.array([1, 5]), None).trained_on()
    np.testing.assert_array_equal(found.train.x[:, 0], [1, 5])
    np.testing.assert_array_equal(found.train.labels, [1, 5])
    assert found.valid is splits.valid
