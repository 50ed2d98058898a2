"""Small images for every source, small configurations of every experiment, and commands in this process."""

import importlib
import runpy
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxvae import data
from jaxvae.types import Dataset, DataSpec, Splits

SPEC = DataSpec(shape=(12, 12, 1), num_values=256, num_classes=3)
SMALL = {
    "steps": 2,
    "eval_every": 1,
    "log_every": 1,
    "batch_size": 8,
    "nll_samples": 3,
    "codec_steps": 2,
    "phase_steps": 2,
    "labels": 20,
}


@pytest.fixture(autouse=True)
def empty_figures(monkeypatch):
    """Figures are drawn and not rendered, a third of a run's time: tests/test_viz.py and runs by command do that."""
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **options: Path(path).touch())


@pytest.fixture
def images(monkeypatch):
    """Bright squares in one of three places, for every source."""
    labels = np.arange(60, dtype=np.int32) % 3
    x = np.zeros((60, *SPEC.shape), np.uint8)
    for image, label in zip(x, labels, strict=True):
        image[4 * label : 4 * label + 4, 4:8] = 230
    part = lambda rows: Dataset(x[rows], labels[rows])  # noqa: E731
    splits = Splits(part(slice(0, 40)), part(slice(40, 50)), part(slice(50, 60)))
    monkeypatch.setattr(data, "load", lambda source, **_: (splits, SPEC))
    return splits


def module_and_config(name, **changes):
    """An experiment's module and its quick configuration, of two steps."""
    module = importlib.import_module(f"experiments.{name}")
    small = SMALL | ({"latent_dim": 4, "num_columns": 2, "num_reflections": 2} if name == "flow_posterior" else {})
    small |= {"num_codes": 32} if name == "vqvae_prior" and "codec" not in changes else {}
    quick = module.Config().quick()
    small = {field: value for field, value in small.items() if hasattr(quick, field)}  # exact likelihoods take no k
    return module, replace(quick, **small | changes)


def run_command(name, *flags, out, small=True):
    """Run `python -m experiments.NAME FLAGS` in this process and return the folder of the run "a".

    What ends a command with a sentence raises `SystemExit` of it.
    """
    fields = importlib.import_module(f"experiments.{name}").Config.__dataclass_fields__
    flags = tuple(map(str, flags))
    given = [flag.partition("=")[0] for flag in flags]
    sizes = {f"--{field.replace('_', '-')}": str(value) for field, value in SMALL.items() if field in fields and small}
    words = [word for flag, value in sizes.items() if flag not in given for word in (flag, value)]
    run_name = [] if "--name" in flags else ["--name", "a"]
    line = [f"experiments.{name}", "--quick", *words, "--out", str(out), *run_name, *flags]
    before, sys.argv = sys.argv, line
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*found in sys.modules")  # a test has imported it, as others do
            runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)
    finally:
        sys.argv = before
    return Path(out) / name / (flags[flags.index("--name") + 1] if "--name" in flags else "a")
