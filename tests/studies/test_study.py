"""Which runs of a study share a program, and what comes of all of them."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from jaxvae import viz
from jaxvae.errors import Diverged, UserError
from jaxvae.runs.config import TrainingConfig
from jaxvae.runs.options import Options
from jaxvae.studies.axes import parse_axes
from jaxvae.studies.experiment import Experiment, Selection, array_fields
from jaxvae.studies.study import grouped, run_study
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


IMAGES = np.zeros((30, 2, 2, 1), np.uint8)
EXPERIMENT = Experiment("toy", Config, build, arrays=("label",), load=lambda config: (Splits(*[DATA] * 3), SPEC))
DATA = Dataset(IMAGES, None)


def places(configs, experiment=EXPERIMENT):
    return [group.members for group in grouped(experiment, configs)]


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
    assert places([replace(Config(), **change) for change in changes]) == expected


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


def test_data_that_are_swept_are_loaded_each_and_shared_by_no_program():
    def load(config):
        return Splits(*[Dataset(IMAGES[: 10 * config.width], None)] * 3), SPEC._replace(shape=(config.width, 2, 1))

    experiment = EXPERIMENT._replace(load=load, data_fields=("width",), arrays=("width",))
    configs = [replace(Config(), width=width, seed=seed) for width in (1, 2) for seed in (0, 1)]
    groups = grouped(experiment, configs)
    assert [group.members for group in groups] == [[0, 1], [2, 3]]
    assert [(len(group.splits.train.x), group.spec.shape) for group in groups] == [(10, (1, 2, 1)), (20, (2, 2, 1))]


def members(configs, folders, options, splits, spec):
    """Metrics that say what each member was; of width 4 nothing comes."""
    if any(config.width == 4 for config in configs):
        raise Diverged("the loss is NaN.")
    rows = []
    for config, folder in zip(configs, folders, strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        nll = 10.0 * config.width + config.seed + config.steps
        rows.append({"metrics": {"nll": nll, "elbo": -nll}, "valid": {"elbo": -nll}, "steps": config.steps})
    return rows


TOY = EXPERIMENT._replace(members=members)


def start(folder, *sweep, resume=False, config=None, experiment=TOY):
    config = config or Config()
    run_study(experiment, config, parse_axes(sweep, config), folder, Options(resume=resume))
    return json.loads((folder / "summary.json").read_text())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(viz, "save_study", lambda path, *a: path.touch())
    return tmp_path / "study"


def test_a_program_that_diverges_ends_nothing_but_its_own_rows(folder, capsys):
    summary = start(folder, "width=4,2,3", "seed=0,1")
    assert [row.get("failure") for row in summary["runs"]] == ["the loss is NaN."] * 2 + [None] * 4
    assert [row["width"] for row in summary["variants"]] == [2, 3]
    assert all("gain" not in row for row in summary["variants"])  # of the first value there is nothing to gain over
    assert summary["best"] == "width=2_seed=0"
    assert "warning: a training diverged and is in no mean: the loss is NaN." in capsys.readouterr().out


def test_a_resumed_study_keeps_its_fields_their_order_and_all_values_at_the_same_steps(folder):
    start(folder, "width=3,2", "seed=0")
    more = start(folder, "seed=1", "width=5", resume=True, config=Config(steps=7))
    assert [(row["width"], row["seed"]) for row in more["runs"]] == [(3, 0), (3, 1), (2, 0), (2, 1), (5, 0), (5, 1)]
    assert {row["steps"] for row in more["runs"]} == {7}  # those of before are trained on, never mixed
    assert [row.get("gain") for row in more["variants"]] == [None, 10.0, -20.0]
    again = start(folder, resume=True, config=Config(steps=7))  # without --sweep, what was stored
    assert again["runs"] == more["runs"]
    with pytest.raises(UserError, match="was started with a sweep of width, seed, now it is of width"):
        start(folder, "width=3", resume=True, config=Config(steps=7))


def test_all_settings_of_the_same_data_are_checked_at_once(folder):
    asked = []
    experiment = TOY._replace(check=lambda configs, options, splits, spec: asked.append([c.width for c in configs]))
    start(folder, "width=3,2", "seed=0,1", experiment=experiment)
    assert asked == [[3, 3, 2, 2]]


def test_seeds_alone_are_one_variant(folder):
    summary = start(folder, "seed=0,1,2")
    (row,) = summary["variants"]
    assert (row["runs"], row["sd"]) == (3, 1.0)
    assert "gain" not in row


def test_runs_without_a_common_measure_have_no_best(folder, capsys):
    summary = start(folder, "label=0,1")
    assert summary["best"] is None
    assert "No run is the best one" in capsys.readouterr().out


def test_a_run_of_one_model_is_not_resumed_as_a_study(folder):
    folder.mkdir()
    (folder / "config.json").write_text('{"config": {}}')
    with pytest.raises(UserError, match="is a run of one model: resume it with --sweep none"):
        start(folder, "seed=0,1", resume=True)
