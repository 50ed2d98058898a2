import chex
import jax
import numpy as np
import optax
import pytest

from jaxvae.errors import UserError
from jaxvae.training import Checkpoints, fit, make_evaluator
from jaxvae.training.loop import evaluated_params
from tests.training.conftest import make_experiment

SETTINGS = {"seed": 3, "batch_size": 16, "eval_every": 4, "log_every": 2, "ema_decay": 0.8}
NO_EMA = SETTINGS | {"ema_decay": 0.0}


def test_fit_learns_and_reports(experiment, splits):
    reports = []
    result = fit(
        experiment,
        splits,
        steps=200,
        **SETTINGS | {"eval_every": 100, "log_every": 50},
        report=lambda *a: reports.append(a),
    )
    train = [metrics["loss"] for _, part, metrics in reports if part == "train"]
    assert train[-1] < train[0] - 1.0
    assert [(step, part) for step, part, _ in reports][:3] == [(50, "train"), (100, "train"), (100, "valid")]
    assert int(result.state.step) == 200
    assert result.loop.best == min(metrics["loss"] for _, part, metrics in reports if part == "valid")


def test_fit_resumed_equals_uninterrupted_bit_for_bit(experiment, splits, tmp_path):
    whole = fit(experiment, splits, steps=12, **SETTINGS)
    with Checkpoints(tmp_path) as checkpoints:
        fit(experiment, splits, steps=8, checkpoints=checkpoints, **SETTINGS)
    with Checkpoints(tmp_path) as checkpoints:
        resumed = fit(experiment, splits, steps=12, checkpoints=checkpoints, resume=True, **SETTINGS)
    chex.assert_trees_all_equal(resumed.state._replace(key=None), whole.state._replace(key=None))
    chex.assert_trees_all_equal(resumed.params, whole.params)
    assert resumed.loop._replace(seconds=0) == whole.loop._replace(seconds=0)
    assert resumed.loop.seconds > 0


def test_fit_returns_the_best_params_and_stops_early(splits, tmp_path):
    # A rate so high that the bound gets worse: the best evaluation is an early one.
    experiment = make_experiment(optax.adam(0.3))
    with Checkpoints(tmp_path) as checkpoints:
        result = fit(experiment, splits, steps=400, checkpoints=checkpoints, patience=2, **NO_EMA)
        assert int(result.state.step) == result.loop.best_step + 2 * SETTINGS["eval_every"] < 400
        best, _ = checkpoints.restore(result.loop.best_step, result.state)
        chex.assert_trees_all_equal(result.params, evaluated_params(best)[0])
        again = fit(
            experiment,
            splits,
            steps=400,
            checkpoints=checkpoints,
            patience=2,
            resume=True,
            **NO_EMA,
        )
    assert int(again.state.step) == int(result.state.step)
    chex.assert_trees_all_equal(again.params, result.params)


def test_fit_names_the_step_that_is_not_finite_and_keeps_checkpoints(splits, tmp_path):
    experiment = make_experiment(optax.adam(1e-3), poison_at=6)
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(UserError, match="step 7: loss nan"):
            fit(experiment, splits, steps=12, checkpoints=checkpoints, **SETTINGS)
        assert checkpoints.latest_step() == 4


def test_fit_starts_from_given_params(experiment, splits):
    first = fit(experiment, splits, steps=4, **SETTINGS)
    frozen = make_experiment(optax.sgd(0.0))
    second = fit(frozen, splits, steps=4, init_params=first.params, **SETTINGS)
    chex.assert_trees_all_close(second.params, first.params, rtol=1e-6)


def test_make_evaluator_does_not_depend_on_the_batch_size(experiment, splits):
    params = fit(experiment, splits, steps=4, **SETTINGS).params
    values = [make_evaluator(experiment, size)(params, {}, splits.valid)["loss"] for size in (7, 25, 40)]
    assert values[0].shape == (25,)
    np.testing.assert_allclose(values[0], values[1], rtol=1e-5)
    np.testing.assert_allclose(values[2], values[1], rtol=1e-5)
    assert np.std(values[0]) > 0


def test_fit_is_a_function_of_its_seed(experiment, splits):
    one, same, other = (fit(experiment, splits, steps=4, **SETTINGS | {"seed": seed}) for seed in (0, 0, 1))
    chex.assert_trees_all_equal(one.params, same.params)
    leaves = zip(jax.tree.leaves(one.params), jax.tree.leaves(other.params), strict=True)
    assert any(not np.array_equal(a, b) for a, b in leaves)
