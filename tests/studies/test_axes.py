"""What `--sweep` reads, and what a default study leaves out."""

from dataclasses import dataclass
from typing import Literal

import pytest

from jaxvae.errors import UserError
from jaxvae.runs.options import Options
from jaxvae.studies.axes import combinations, name_of, parse_axes, written
from jaxvae.studies.cli import axes_of, run_experiment
from jaxvae.studies.experiment import Experiment, quick_axes
from jaxvae.studies.study import label_of


@dataclass(frozen=True)
class Config:
    seed: int = 0
    beta: float = 1.0
    net: Literal["mlp", "conv"] = "mlp"
    levels: Literal[1, 2] = 1
    hidden: tuple[int, ...] = (8,)
    tied: bool = False
    num_train: int | None = None
    data: str = "digits"


def test_values_of_every_type_are_read():
    texts = ("seed=0,1", "beta=0.5,1e-3", "net=conv,mlp", "levels=2,1", "hidden=128x64,32", "tied=true,False")
    assert parse_axes(texts, Config()) == {
        "seed": (0, 1),
        "beta": (0.5, 1e-3),
        "net": ("conv", "mlp"),
        "levels": (2, 1),
        "hidden": ((128, 64), (32,)),
        "tied": (True, False),
    }
    assert parse_axes(("num-train=10,none", "data=a,b"), Config()) == {"num_train": (10, None), "data": ("a", "b")}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("depth=1",), "--sweep depth=1 is not possible: expected FIELD=VALUE,VALUE,... with one of beta, data"),
        (("seed",), "--sweep seed is not possible"),
        (("seed=x",), "--sweep seed=x is no value of --seed: expected a whole number"),
        (("seed=1.5",), "expected a whole number"),
        (("net=conf",), "--sweep net=conf is no value of --net: expected one of mlp, conv"),
        (("hidden=8xy",), "expected numbers as 128x128"),
        (("tied=yes",), "expected true or false"),
        (("num_train=many",), "expected none or a whole number"),
        (("seed=1,1",), "--sweep seed=1,1 has a value twice"),
        (("seed=1", "seed=2"), "--sweep has seed twice"),
        (("seed=0", "none"), "--sweep none is not possible"),
    ],
)
def test_other_texts_are_refused(texts, message):
    with pytest.raises(UserError, match=message):
        parse_axes(texts, Config())


def test_all_combinations_in_the_order_given():
    assert combinations({"beta": (1.0, 2.0), "seed": (0, 1)}) == [
        {"beta": 1.0, "seed": 0},
        {"beta": 1.0, "seed": 1},
        {"beta": 2.0, "seed": 0},
        {"beta": 2.0, "seed": 1},
    ]
    assert combinations({}) == [{}]


def test_one_at_a_time_is_the_first_values_and_every_single_change():
    axes = {"beta": (1.0, 2.0, 4.0), "seed": (0, 1), "net": ("mlp", "conv")}
    found = combinations(axes, ["seed"])
    assert [(one["beta"], one["net"], one["seed"]) for one in found] == [
        (1.0, "mlp", 0),
        (1.0, "mlp", 1),
        (2.0, "mlp", 0),
        (2.0, "mlp", 1),
        (4.0, "mlp", 0),
        (4.0, "mlp", 1),
        (1.0, "conv", 0),
        (1.0, "conv", 1),
    ]
    assert label_of({"beta": 4.0, "net": "mlp"}, axes, apart=True) == "beta=4"
    assert label_of({"beta": 1.0, "net": "mlp"}, axes, apart=True) == "first values"
    assert label_of({"beta": 4.0, "net": "mlp"}, axes, apart=False) == "4, mlp"
    with pytest.raises(UserError, match="asks for 1,002 trainings"):
        combinations({"seed": tuple(range(501)), "steps": (1, 2)}, ["seed"])


def test_names_tell_all_values_apart_and_are_read_back():
    values = {"seed": 1_000_001, "beta": 2.0, "rate": 1e-3, "hidden": (128, 64), "num_train": None}
    assert name_of(values) == "seed=1000001_beta=2_rate=0.001_hidden=128x64_num_train=None"
    assert written([128, 64]) == written((128, 64))  # as JSON has it
    texts = [f"{name}={written(value)}" for name, value in values.items() if name != "rate"]
    assert parse_axes(texts, Config()) == {name: (value,) for name, value in values.items() if name != "rate"}


EXPERIMENT = Experiment("toy", Config, None, sweep={"beta": (0.5, 1.0, 2.0), "seed": (0, 1, 2)})


@pytest.mark.parametrize(
    ("texts", "given", "quick", "expected"),
    [
        ((), set(), False, EXPERIMENT.sweep),
        ((), {"seed"}, False, {"beta": (0.5, 1.0, 2.0)}),  # a field given as a flag is not swept
        ((), {"beta", "seed"}, False, {}),
        ((), set(), True, {"beta": (0.5, 1.0), "seed": (0,)}),
        (("none",), set(), False, {}),
        (("net=mlp,conv",), {"beta"}, True, {"net": ("mlp", "conv")}),
    ],
)
def test_what_is_varied(texts, given, quick, expected):
    assert axes_of(EXPERIMENT, Config(), texts, frozenset(given), quick=quick) == expected


def test_a_field_is_not_both_a_flag_and_swept():
    with pytest.raises(UserError, match="--beta and --sweep beta=... are both given"):
        axes_of(EXPERIMENT, Config(), ("beta=1,2",), frozenset({"beta"}), quick=False)


def test_quick_axes_keep_two_values_of_the_first_field():
    assert quick_axes({"a": (1, 2, 3), "b": (4, 5)}) == {"a": (1, 2), "b": (4,)}


def test_no_more_combinations_than_anybody_would_train():
    assert len(combinations({"seed": tuple(range(500)), "steps": (1, 2)})) == 1_000
    with pytest.raises(UserError, match="asks for 1,002 trainings, expected at most 1,000"):
        combinations({"seed": tuple(range(501)), "steps": (1, 2)})


def test_one_at_a_time_is_of_a_study():
    options = Options(one_at_a_time=True)
    with pytest.raises(UserError, match="--one-at-a-time is of a study"):
        run_experiment(EXPERIMENT._replace(build=lambda config, spec: None), Config(), options, {})
