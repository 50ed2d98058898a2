"""Planar flows on densities of the plane: a whole small study, a flow that is loaded, what is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.planar_density import Config, build
from jaxvae.capabilities import require
from jaxvae.errors import UserError
from jaxvae.evaluation import divergence
from jaxvae.reports import flow_density
from jaxvae.runs.load import load
from jaxvae.systems.flow_density import SPEC, FitsDensity
from tests.experiments.conftest import run_command


@pytest.fixture
def few_draws(monkeypatch):
    """Fewer draws and cells than a divergence and a picture need."""
    divergence.divergence.cache_clear()
    monkeypatch.setattr(divergence.divergence.__wrapped__, "__defaults__", (2_000,))
    monkeypatch.setattr(flow_density, "GRID", 20)
    yield
    divergence.divergence.cache_clear()


@pytest.mark.slow
def test_study_writes_numbers_and_figures_and_its_flows_load(tmp_path, few_draws):
    sweep = ["target=mixture,U1", "num_flows=0,2", "base=fixed,learned", "seed=0,1"]
    folder = run_command("planar_density", "--sweep", *sweep, out=tmp_path)
    summary = json.loads((folder / "summary.json").read_text())
    assert len(summary["runs"]) == 16
    assert {"kl.png", "study.png"} <= {path.name for path in (folder / "figures").iterdir()}
    # N(0, I) against the mixture, which quadrature gives as 1.1044: the first rows of all.
    first, second = summary["runs"][:2]
    assert (first["target"], first["num_flows"], first["base"]) == ("mixture", 0, "fixed")
    found = first["metrics"]
    assert abs(found["kl_divergence"] - 1.1044) < 5 * found["kl_divergence_stderr"]
    assert found["kl_divergence"] == pytest.approx(second["metrics"]["kl_divergence"], abs=1e-6)

    place = folder / "target=U1_num_flows=2_base=learned_seed=1"
    flow = load(place)
    assert flow.model_state == {"target": 2.0, "num_flows": 2.0, "learned_base": 1.0}
    kl, _ = require(flow.system, FitsDensity).divergence(flow.params, flow.model_state)
    row = next(
        row
        for row in summary["runs"]
        if (row["target"], row["num_flows"], row["base"], row["seed"]) == ("U1", 2, "learned", 1)
    )
    assert kl == pytest.approx(row["metrics"]["kl_divergence"], rel=1e-4)
    assert flow.sample(50).shape == (50, 2)
    assert np.min(flow.sample(50)) < 0
    assert (place / "figures" / "density.png").exists()


def test_best_median_and_worst_of_the_starts_are_stated():
    rows = [
        {"seed": i, "metrics": {"kl_divergence": kl, "kl_divergence_stderr": 0.1 * kl}}
        for i, kl in enumerate((0.3, 0.1, 0.8))
    ]
    (row,) = flow_density.summarize_starts(rows, {"target": "U1", "num_flows": 2, "base": "fixed"})
    assert (row["best"], row["median"], row["worst"], row["stderr_of_best"]) == (0.1, 0.3, 0.8, 0.01)
    assert (row["target"], row["num_flows"], row["base"], row["restarts"]) == ("U1", 2, "fixed", 3)


def test_flows_that_share_a_program_differ_in_hyper_parameters_alone():
    first, other = build(Config(), SPEC), build(Config(target="U3", num_flows=32, base="learned"), SPEC)
    assert other.trainable.hparams == {"target": 4.0, "num_flows": 32.0, "learned_base": 1.0}
    shapes = [jax.eval_shape(lambda s=s: s.trainable.init(jax.random.key(0), None)) for s in (first, other)]
    assert jax.tree.map(jnp.shape, shapes[0]) == jax.tree.map(jnp.shape, shapes[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_flows": -1}, "--num-flows is -1, expected 0 to 32"),
        ({"num_flows": 5, "max_flows": 4}, "--num-flows is 5, expected 0 to 4"),
        ({"target": "U5"}, "--target is U5, expected one of mixture"),
        ({"anneal": 1.5}, "--anneal is 1.5, expected 0 to 1"),
    ],
)
def test_impossible_values_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        Config(**changes)
