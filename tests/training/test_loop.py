import chex
import jax
import numpy as np
import optax
import pytest

from jaxvae.errors import UserError
from jaxvae.training import Checkpoints, Saved, Settings, evaluated_params, fit, make_evaluator, make_layout
from jaxvae.training.divergence import means_of_taken
from tests.training.conftest import make_system

SETTINGS = Settings(steps=12, batch_size=16, eval_every=4, log_every=2, ema_decay=0.8)


def at_steps(steps, **changes):
    return SETTINGS._replace(steps=steps, **changes)


def trained(system, splits, settings, checkpoints=None, seed=3, **options):
    return fit(system, splits, settings, seed=seed, checkpoints=checkpoints, layout=make_layout(), **options)


def without_key(state):
    return state._replace(key=None)


def test_fit_learns_and_reports(system, splits):
    reports = []
    settings = at_steps(200, eval_every=100, log_every=50)
    result = fit(system, splits, settings, seed=3, report=lambda *a: reports.append(a))
    train = [metrics["loss"] for _, part, metrics in reports if part == "train"]
    assert train[-1] < train[0] - 1.0
    assert [(step, part) for step, part, _ in reports][:3] == [(50, "train"), (100, "train"), (100, "valid")]
    assert int(result.state.step) == 200
    assert result.loop.best == min(metrics["loss"] for _, part, metrics in reports if part == "valid")


def test_fit_resumed_equals_uninterrupted_bit_for_bit(system, splits, tmp_path):
    whole = trained(system, splits, SETTINGS)
    with Checkpoints(tmp_path) as checkpoints:
        trained(system, splits, at_steps(8), checkpoints)
    with Checkpoints(tmp_path) as checkpoints:
        resumed = trained(system, splits, SETTINGS, checkpoints, resume=True)
    chex.assert_trees_all_equal(without_key(resumed.state), without_key(whole.state))
    chex.assert_trees_all_equal(resumed.best, whole.best)
    apart = {"seconds": 0, "cpu_seconds": 0}
    assert resumed.loop._replace(**apart) == whole.loop._replace(**apart)
    assert resumed.loop.seconds > 0
    assert 0 < resumed.loop.cpu_seconds < 100 * resumed.loop.seconds


def test_fit_saves_as_often_as_asked_and_the_best_with_it(system, splits, tmp_path):
    whole = trained(system, splits, at_steps(14, save_every=5, eval_every=4))
    with Checkpoints(tmp_path, keep=10) as checkpoints:
        trained(system, splits, at_steps(14, save_every=5, eval_every=4), checkpoints)
        assert checkpoints.all_steps() == [5, 10, 14]
    (tmp_path / "14").rename(tmp_path.parent / "away")
    with Checkpoints(tmp_path) as checkpoints:
        resumed = trained(system, splits, at_steps(14, save_every=5, eval_every=4), checkpoints, resume=True)
    chex.assert_trees_all_equal(resumed.best, whole.best)
    assert resumed.loop.best_step == whole.loop.best_step


def test_fit_stops_when_asked_and_saves(system, splits, tmp_path):
    whole = trained(system, splits, SETTINGS)
    asked = iter([False, False, True])
    with Checkpoints(tmp_path) as checkpoints:
        stopped = trained(system, splits, SETTINGS, checkpoints, stop=lambda: next(asked))
        assert int(stopped.state.step) == checkpoints.latest_step() == 6  # between evaluations
        resumed = trained(system, splits, SETTINGS, checkpoints, resume=True)
    chex.assert_trees_all_equal(without_key(resumed.state), without_key(whole.state))
    chex.assert_trees_all_equal(resumed.best, whole.best)


def test_fit_returns_the_best_params_and_stops_early(splits, tmp_path):
    # A rate so high that the bound gets worse: the best evaluation is an early one.
    system = make_system(optax.adam(0.3))
    settings = at_steps(400, ema_decay=0.0, patience=2)
    with Checkpoints(tmp_path, keep=4) as checkpoints:
        result = trained(system, splits, settings, checkpoints)
        assert int(result.state.step) == result.loop.best_step + 2 * SETTINGS.eval_every < 400
        like = Saved(result.state, result.best, result.loop)
        at_best = checkpoints.restore(result.loop.best_step, like)
        chex.assert_trees_all_equal(result.best, evaluated_params(at_best.state))
        chex.assert_trees_all_equal(checkpoints.restore_best(result.best), result.best)
        again = trained(system, splits, settings, checkpoints, resume=True)
    assert int(again.state.step) == int(result.state.step)
    chex.assert_trees_all_equal(again.best, result.best)


def test_fit_names_the_step_that_is_not_finite_and_keeps_checkpoints(splits, tmp_path):
    system = make_system(optax.adam(1e-3), poison_at=6)
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(UserError, match="step 7: loss nan"):
            trained(system, splits, SETTINGS, checkpoints)
        assert checkpoints.latest_step() == 4


def test_fit_skips_and_counts_steps_that_are_not_finite(splits, tmp_path):
    system = make_system(optax.adam(1e-3), poison_at=6)
    reports = []
    with Checkpoints(tmp_path) as checkpoints:
        settings, report = SETTINGS._replace(skip_norm=1e6), lambda *a: reports.append(a)
        result = fit(system, splits, settings, seed=3, checkpoints=checkpoints, report=report)
    assert int(result.state.step) == 12
    assert result.loop.skipped == 1
    assert {step: values["skipped"] for step, part, values in reports if part == "train"}[8] == 1
    assert all(np.isfinite(value) for _, _, values in reports for value in values.values())


def test_one_skipped_step_ends_nothing_however_often_is_reported(splits):
    system = make_system(optax.adam(1e-3), poison_at=6)
    found = [trained(system, splits, SETTINGS._replace(skip_norm=1e6, log_every=every)) for every in (1, 4)]
    chex.assert_trees_all_close(without_key(found[0].state), without_key(found[1].state), rtol=1e-6)


def test_steps_that_are_all_skipped_have_no_mean():
    values = {"loss": np.array([3.0, 5.0, 9.0]), "skipped": np.array([0, 1, 0]), "finite": np.ones(3)}
    assert means_of_taken(values) == {"loss": 6.0}
    assert np.isnan(means_of_taken({**values, "skipped": np.ones(3)})["loss"])  # and no warning of NumPy's


def test_fit_ends_when_every_step_is_skipped(system, splits):
    with pytest.raises(UserError, match="all steps from 1 to 12 were skipped"):
        trained(system, splits, SETTINGS._replace(skip_norm=1e-6))


def test_fit_starts_from_given_params(system, splits):
    first = trained(system, splits, at_steps(4))
    frozen = make_system(optax.sgd(0.0))
    second = trained(frozen, splits, at_steps(4), start=first.best)
    chex.assert_trees_all_close(second.best.params, first.best.params, rtol=1e-6)


def test_make_evaluator_does_not_depend_on_the_batch_size(system, splits):
    params = trained(system, splits, at_steps(4)).best.params
    values = [make_evaluator(system, size)(params, {}, splits.valid)["loss"] for size in (7, 25, 40)]
    assert values[0].shape == (25,)
    np.testing.assert_allclose(values[0], values[1], rtol=1e-5)
    np.testing.assert_allclose(values[2], values[1], rtol=1e-5)
    assert np.std(values[0]) > 0


def test_fit_is_a_function_of_its_seed(system, splits):
    one, same, other = (trained(system, splits, at_steps(4), seed=seed).best.params for seed in (0, 0, 1))
    chex.assert_trees_all_equal(one, same)
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    assert any(not np.array_equal(a, b) for a, b in leaves)
