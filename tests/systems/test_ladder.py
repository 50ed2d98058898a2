"""Ladder networks as systems: the loss by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.capabilities import Classifies, require
from jaxvae.models import LadderNetwork
from jaxvae.systems.ladder import ladder_system
from jaxvae.training import create_train_state
from jaxvae.training.step import step_keys
from jaxvae.types import StepInput
from tests.squares import SPEC, batch_of_squares

LABELS = np.array([0, -1, 2, -1, -1, -1, -1, -1], np.int32)
MODEL = LadderNetwork(3, (5,), 0.3)


@pytest.mark.slow
def test_loss_weighs_the_costs_of_the_layers_from_the_image_upwards():
    system = ladder_system(name="ladder", spec=SPEC, model=MODEL, optimizer=optax.adam(1e-3), costs=(100.0, 10.0))
    batch = batch_of_squares(labels=LABELS)
    state = create_train_state(system, jax.random.key(0), batch)
    inputs = StepInput(batch, step_keys(state, 8), state.step, {})
    loss, (after, metrics) = jax.jit(system.trainable.players[0].loss)(state.params, state.model_state, inputs)
    variables = {"params": state.params, **state.model_state}
    x, hidden = jnp.asarray(batch.x) / 255, (LABELS < 0).astype(np.float32)
    terms, _ = MODEL.apply(variables, inputs.keys.examples, x, hidden, train=True, mutable=["batch_stats"])
    cost = np.mean((np.asarray(terms.costs) @ np.array([100.0, 10.0, 10.0]))[LABELS < 0])
    cross_entropy = -(terms.log_q[0, 0] + terms.log_q[2, 2]) / 2
    assert float(metrics["cost"]) == pytest.approx(cost, rel=1e-3)
    assert float(metrics["cross_entropy"]) == pytest.approx(float(cross_entropy), rel=1e-3)
    assert float(loss) == pytest.approx(float(metrics["cost"] + metrics["cross_entropy"]), rel=1e-5)
    assert after["batch_stats"]["steps"] == 1
    classify = require(system, Classifies).classify
    want = MODEL.apply({"params": state.params, **after}, None, x).log_q
    np.testing.assert_allclose(classify(state.params, after, None, x), want, rtol=1e-5)
