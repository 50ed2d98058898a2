"""Two players on f(u, w) = u w: one lowers it by u, the other raises it by w, whose steps are worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.training import create_train_state, make_train_step
from jaxvae.types import Batch, DataSpec, Player, System, Trainable

RATE = 0.1
BATCH = Batch(jnp.zeros((2, 1, 1, 1)), None, jnp.ones(2))
FIRST = Player("first", lambda p, state, inputs: loss_of(p, state, 1.0), optax.sgd(RATE), owns=lambda n: n == "u")
SECOND = Player("second", lambda p, state, inputs: loss_of(p, state, -1.0), optax.sgd(RATE), owns=lambda n: n == "w")


def loss_of(params, model_state, sign):
    value = sign * params["u"] * params["w"]
    return value, ({"calls": model_state["calls"] + 1}, {"product": params["u"] * params["w"]})


def system_of(*players, alternating=False, start=(2.0, 3.0)):
    init = lambda key, batch: ({"u": jnp.float32(start[0]), "w": jnp.float32(start[1])}, {"calls": jnp.int32(0)})  # noqa: E731
    evaluate = lambda *arguments: {"loss": jnp.zeros(2)}  # noqa: E731
    trainable = Trainable(init, players, evaluate, {}, alternating)
    return System("game", DataSpec((1, 1, 1), 2, 0), lambda keys, x: x, trainable, ())


def one_step(system, **options):
    state = create_train_state(system, jax.random.key(0), BATCH, keep_ema="ema_decay" in options)
    step = make_train_step(system.trainable.players, alternating=system.trainable.alternating, **options)
    return jax.jit(step)(state, BATCH)


def test_players_take_their_gradients_at_the_same_parameters():
    state, metrics = one_step(system_of(FIRST, SECOND))
    np.testing.assert_allclose(state.params["u"], 2.0 - RATE * 3.0, rtol=1e-6)
    np.testing.assert_allclose(state.params["w"], 3.0 + RATE * 2.0, rtol=1e-6)
    assert int(state.model_state["calls"]) == 2  # it goes from one player to the next
    np.testing.assert_allclose([metrics["loss"], metrics["loss_second"], metrics["product"]], [6.0, -6.0, 6.0])
    np.testing.assert_allclose(metrics["product_second"], 6.0)
    np.testing.assert_allclose(metrics["grad_norm"], np.hypot(3.0, 2.0), rtol=1e-6)


def test_alternating_players_see_what_those_before_have_moved():
    state, metrics = one_step(system_of(FIRST, SECOND, alternating=True))
    moved = 2.0 - RATE * 3.0
    np.testing.assert_allclose(state.params["u"], moved, rtol=1e-6)
    np.testing.assert_allclose(state.params["w"], 3.0 + RATE * moved, rtol=1e-6)
    np.testing.assert_allclose(metrics["loss_second"], -moved * 3.0, rtol=1e-6)
    assert int(state.step) == 1


def test_metrics_of_the_same_name_are_told_apart():
    raised = SECOND._replace(loss=lambda p, state, inputs: (0.0 * p["w"], (state, {"product": jnp.float32(7.0)})))
    _, metrics = one_step(system_of(FIRST, raised))
    assert {name: float(metrics[name]) for name in ("product", "product_second")} == {
        "product": 6.0,
        "product_second": 7.0,
    }


def test_players_have_names_of_their_own():
    with pytest.raises(ValueError, match="The players are called first, first, expected a name of its own for each"):
        make_train_step((FIRST, SECOND._replace(name="first")))


def test_players_get_the_same_keys():
    def seen(params, state, inputs):
        return 0.0 * (params["u"] + params["w"]), (state, {"noise": jax.random.uniform(inputs.keys.shared)})

    _, metrics = one_step(system_of(FIRST._replace(loss=seen), SECOND._replace(loss=seen)))
    assert metrics["noise"] == metrics["noise_second"]


def test_a_step_is_skipped_for_the_norm_of_all_gradients():
    limit = 3.5  # above each of the norms 3 and 2, below that of both, 3.6
    state, metrics = one_step(system_of(FIRST, SECOND), skip_norm=limit)
    assert (float(metrics["skipped"]), int(state.step)) == (1.0, 1)
    assert (float(state.params["u"]), float(state.params["w"])) == (2.0, 3.0)


def test_gradients_of_each_player_are_clipped_by_their_own_norm():
    state, _ = one_step(system_of(FIRST, SECOND), clip_norm=1.0)
    np.testing.assert_allclose(state.params["u"], 2.0 - RATE, rtol=1e-6)
    np.testing.assert_allclose(state.params["w"], 3.0 + RATE, rtol=1e-6)


def test_moving_averages_are_of_what_all_players_have_moved():
    state, _ = one_step(system_of(FIRST, SECOND, alternating=True), ema_decay=0.5)
    decay = 0.1  # (1 + 0) / (10 + 0) at the first step
    moved = np.array([state.params["u"], state.params["w"]])
    averages = np.array([state.ema_params["u"], state.ema_params["w"]])
    np.testing.assert_allclose(averages, decay * np.array([2.0, 3.0]) + (1 - decay) * moved, rtol=1e-6)


@pytest.mark.parametrize("alternating", [False, True])
@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_a_step_that_is_not_finite_for_one_player_moves_none(alternating, backend, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    broken = SECOND._replace(loss=lambda params, state, inputs: loss_of(params, state, jnp.nan))
    state, metrics = one_step(system_of(FIRST, broken, alternating=alternating))
    assert metrics["finite"] == 0
    assert (float(state.params["u"]), float(state.params["w"])) == (2.0, 3.0)
    assert (int(state.step), int(state.model_state["calls"])) == (0, 0)


def test_every_parameter_has_one_owner():
    with pytest.raises(ValueError, match="The parameters w are owned by no player, expected one of them"):
        create_train_state(system_of(FIRST), jax.random.key(0), BATCH)
    with pytest.raises(ValueError, match=r"The parameters u are owned by \['first', 'all'\]"):
        create_train_state(system_of(FIRST, Player("all", FIRST.loss, optax.sgd(RATE))), jax.random.key(0), BATCH)
