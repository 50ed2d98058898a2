"""A sweep equals separate trainings. SGD where gradients are compared: Adam hides factors."""

import functools

import chex
import jax
import numpy as np
import optax
import pytest

from jaxvae.errors import UserError
from jaxvae.training import Checkpoints, Member, Saved, Settings, fit_sweep, make_layout, program
from jaxvae.training.loop import train_to_end
from jaxvae.training.parallel import sweep_layout
from jaxvae.training.trainer import Training
from tests.training.conftest import make_system


def alone(system, splits, member, settings, resume=False):
    """What `fit` does, of a member with hyper-parameters and rows of its own."""
    training = Training(system, splits, [member], settings, make_layout())
    return train_to_end(training, resume, None)[0]


SETTINGS = Settings(steps=8, batch_size=16, eval_every=4, log_every=2, ema_decay=0.8)


@functools.cache  # what is one system has one compiled evaluation
def make_injected():
    return make_system(optax.inject_hyperparams(optax.sgd)(learning_rate=0.1), noisy=True)


def members_of(*hparams):
    return [Member(seed, values) for seed, values in enumerate(hparams)]


FOUR = (
    {"beta": 1.0, "learning_rate": 0.1},
    {"beta": 0.5, "learning_rate": 0.3},
    {"beta": 2.0, "learning_rate": 0.05},
    {"beta": 1.0, "learning_rate": 0.2},
)


def assert_same(found, expected):
    chex.assert_trees_all_close(found.state._replace(key=None), expected.state._replace(key=None), rtol=2e-5, atol=1e-6)
    chex.assert_trees_all_close(found.best, expected.best, rtol=2e-5, atol=1e-6)
    assert found.loop.best_step == expected.loop.best_step
    np.testing.assert_allclose(found.loop.best, expected.loop.best, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("large_member", [0, program.LARGE_MEMBER])
def test_sweep_equals_separate_trainings_on_any_number_of_devices(large_member, splits, monkeypatch):
    monkeypatch.setattr(program, "LARGE_MEMBER", large_member)  # in turn on one CPU device, or side by side
    members = members_of(*FOUR)
    members[3] = members[3]._replace(rows=np.array([4, 60, 33, 2, 18, 9], np.int32))
    expected = [alone(make_injected(), splits, member, SETTINGS) for member in members]
    for num_devices in (1, 4):
        found = fit_sweep(make_injected(), splits, members, SETTINGS, num_devices=num_devices)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)


def test_a_member_learns_from_some_rows_as_from_a_data_set_of_them(splits):
    rows = np.array([3, 1, 40, 22, 9, 60, 17], np.int32)
    part = splits._replace(train=jax.tree.map(lambda leaf: leaf[rows], splits.train))
    expected = alone(make_injected(), part, Member(3), SETTINGS._replace(steps=4))
    found = alone(make_injected(), splits, Member(3, rows=rows), SETTINGS._replace(steps=4))
    chex.assert_trees_all_close(found.state.params, expected.state.params, rtol=1e-6)


@pytest.mark.slow
def test_sweep_reports_every_member(splits):
    reports = [[], []]
    members = [
        Member(seed, {"beta": 1.0 + seed}, report=lambda *a, to=to: to.append(a)) for seed, to in enumerate(reports)
    ]
    fit_sweep(make_injected(), splits, members, SETTINGS)
    for seen, member in zip(reports, members, strict=True):
        single = []
        alone(make_injected(), splits, member._replace(report=lambda *a, to=single: to.append(a)), SETTINGS)
        assert [(step, part) for step, part, _ in seen] == [(step, part) for step, part, _ in single]
        for (*_, found), (*_, expected) in zip(seen, single, strict=True):
            assert set(found) == set(expected)
            np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-5)


@pytest.mark.slow
def test_a_member_that_diverges_freezes_alone(splits):
    members = members_of({"learning_rate": 0.1}, {"learning_rate": 1e30}, {"learning_rate": 0.2})
    found = fit_sweep(make_injected(), splits, members, SETTINGS)
    assert [result.failure is None for result in found] == [True, False, True]
    assert "Training stopped at step" in found[1].failure
    assert int(found[1].state.step) < 8
    chex.assert_tree_all_finite(found[1].state.params)
    for i in (0, 2):
        assert_same(found[i], alone(make_injected(), splits, members[i], SETTINGS))


def test_a_member_that_had_diverged_stays_so_when_resumed(splits, tmp_path):
    def trained(steps):
        members = members_of({"learning_rate": 0.1}, {"learning_rate": 1e30})
        members = [m._replace(checkpoints=Checkpoints(tmp_path / str(m.seed))) for m in members]
        results = fit_sweep(make_injected(), splits, members, SETTINGS._replace(steps=steps), resume=True)
        for member in members:
            member.checkpoints.close()
        return results

    before = trained(4)[1]
    assert before.failure
    sound, diverged = trained(8)
    assert sound.failure is None
    assert diverged.failure == before.failure
    assert diverged.loop.best == before.loop.best


@pytest.mark.slow
def test_a_resumed_sweep_discards_what_one_member_alone_has_saved(splits, tmp_path):
    def trained(steps, count, resume):
        members = members_of(*({"learning_rate": rate} for rate in (0.1, 0.2)[:count]))
        members = [m._replace(checkpoints=Checkpoints(tmp_path / str(m.seed), keep=3)) for m in members]
        settings = SETTINGS._replace(steps=steps, eval_every=2)
        results = fit_sweep(make_injected(), splits, members, settings, resume=resume)
        saved = [member.checkpoints.all_steps() for member in members]
        for member in members:
            member.checkpoints.close()
        return results, saved

    _, saved = trained(2, 2, False)
    assert saved == [[2], [2]]
    _, saved = trained(6, 1, True)
    assert saved == [[2, 4, 6]]
    results, saved = trained(4, 2, True)  # the two have step 2 in common
    assert saved == [[2, 4], [2, 4]]
    assert [int(result.state.step) for result in results] == [4, 4]


def test_a_sweep_ends_when_all_have_diverged(splits):
    found = fit_sweep(make_injected(), splits, members_of({"learning_rate": 1e30}), SETTINGS)
    assert found[0].failure
    assert found[0].loop.best_step == 0


def test_sweep_stops_each_member_as_early_as_alone(splits):
    settings = SETTINGS._replace(steps=40, patience=2)
    members = members_of({"learning_rate": 0.4}, {"learning_rate": 0.8}, {"learning_rate": 0.01})
    found = fit_sweep(make_injected(), splits, members, settings)
    for member, result in zip(members, found, strict=True):
        expected = alone(make_injected(), splits, member, settings)
        chex.assert_trees_all_close(result.best, expected.best, rtol=2e-4, atol=1e-5)
        assert result.loop.best_step == expected.loop.best_step


@pytest.mark.slow
def test_sweep_resumed_equals_uninterrupted(splits, tmp_path):
    def saving(i, member):
        return member._replace(checkpoints=Checkpoints(tmp_path / str(i)))

    whole = fit_sweep(make_injected(), splits, members_of(*FOUR), SETTINGS)
    for steps in (4, 8):
        members = [saving(i, member) for i, member in enumerate(members_of(*FOUR))]
        found = fit_sweep(make_injected(), splits, members, SETTINGS._replace(steps=steps), resume=True)
        if steps == 4:  # as if the end had come when only the last member was saved
            last = found[3]
            members[3].checkpoints.save(5, Saved(last.state, last.best, last.loop))
        for member in members:
            member.checkpoints.close()
    for result, expected in zip(found, whole, strict=True):
        chex.assert_trees_all_equal(result.state._replace(key=None), expected.state._replace(key=None))
        chex.assert_trees_all_equal(result.best, expected.best)


def test_a_members_checkpoint_is_like_any_other(splits, tmp_path):
    with Checkpoints(tmp_path / "1") as checkpoints:
        members = members_of(*FOUR)
        members[1] = members[1]._replace(checkpoints=checkpoints)
        fit_sweep(make_injected(), splits, members, SETTINGS._replace(steps=4))
        single = alone(make_injected(), splits, members[1], SETTINGS, resume=True)
    assert_same(single, alone(make_injected(), splits, members_of(*FOUR)[1], SETTINGS))


def test_sweep_refuses_what_is_no_hyperparameter(splits):
    with pytest.raises(UserError, match="There is no hyper-parameter depth in tiny: expected one of beta"):
        fit_sweep(make_injected(), splits, members_of({"depth": 3.0}), SETTINGS)


def test_sweep_layout_uses_as_many_devices_as_divide_the_members():
    assert [sweep_layout(number, 8).mesh.size for number in (16, 6, 7, 9, 1)] == [8, 6, 7, 3, 1]
    assert sweep_layout(6).mesh.size == 1  # a CPU's devices share its cores
    assert jax.device_count() == 8
