"""What those who compose a system meet: one sentence at the first trace."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.errors import UserError
from jaxvae.training import Member, Settings, create_train_state, fit, fit_sweep, make_evaluator
from jaxvae.types import Dataset, Splits
from tests.training.conftest import make_system

SETTINGS = Settings(steps=2, batch_size=16, eval_every=2)


def with_trainable(**fields):
    system = make_system(optax.sgd(0.1))
    return system._replace(trainable=system.trainable._replace(**fields))


def with_loss(change):
    """A system whose loss gives what `change` makes of (loss, (model_state, metrics))."""
    (player,) = make_system(optax.sgd(0.1)).trainable.players
    return with_trainable(players=(player._replace(loss=lambda *arguments: change(player.loss(*arguments))),))


def with_evaluate(change):
    """A system whose `evaluate` gives what `change` makes of {"loss": [B]}."""
    given = make_system(optax.sgd(0.1)).trainable.evaluate
    return with_trainable(evaluate=lambda *arguments: change(given(*arguments)))


LOSSES = {
    "alone": (lambda found: found[0], r"loss of tiny gives an array of shape \[\], expected \(loss, \(model_state,"),
    "without metrics": (lambda found: (found[0], found[1][0]), "gives a dict beside its value, expected"),
    "of every example": (
        lambda found: (found[0] * jnp.ones(16), found[1]),
        r"loss of tiny has shape \[16\], expected one number: give the mean over the batch",
    ),
    "a metric called loss": (
        lambda found: (found[0], ({}, {"loss": found[0]})),
        "gives a metric called loss, which a step itself gives: choose another name",
    ),
    "whole": (lambda found: (jnp.int32(3), found[1]), "loss of tiny is of type int32, expected a float"),
    "a metric called finite": (lambda found: (found[0], ({}, {"finite": found[0]})), "a metric called finite"),
    "a metric of every example": (
        lambda found: (found[0], ({}, {"elbo": jnp.ones(16)})),
        r"metric elbo of tiny has shape \[16\], expected one number: return its mean",
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_that_a_step_cannot_take_are_named(splits, name):
    change, message = LOSSES[name]
    with pytest.raises(UserError, match=message):
        fit(with_loss(change), splits, SETTINGS)


EVALUATIONS = {
    "no loss": (lambda found: {"elbo": -found["loss"]}, r"`evaluate` gives elbo, expected a dict with `loss` \[B\]"),
    "nothing": (lambda found: {}, "`evaluate` gives nothing, expected a dict with `loss`"),
    "an array": (lambda found: found["loss"], r"gives an array of shape \[25\], expected a dict with `loss`"),
    "a mean": (
        lambda found: {"loss": jnp.mean(found["loss"])},
        r"gives loss of shape \[\] for 25 examples, expected \[25\]: return a number for every example",
    ),
    "a loss of every pixel": (lambda found: {"loss": jnp.ones((25, 4))}, r"loss of shape \[25, 4\] .* expected \[25\]"),
    "a mean beside": (
        lambda found: {**found, "kl": 1.0},
        r"kl of shape \[\] for 25 examples, expected \[25, ...\]",
    ),
}


@pytest.mark.parametrize("name", EVALUATIONS)
def test_evaluations_without_a_loss_of_every_example_are_named(splits, name):
    change, message = EVALUATIONS[name]
    system = with_evaluate(change)
    state = jax.eval_shape(
        lambda: create_train_state(system, jax.random.key(0), jax.tree.map(jnp.asarray, splits.train))
    )
    with pytest.raises(UserError, match=message):
        make_evaluator(system, 25)(jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), state.params), {}, splits.valid)


def test_more_values_of_every_example_may_be_given(splits):
    system = with_evaluate(lambda found: {**found, "kl_per_dimension": jnp.ones((25, 3))})
    params, _ = system.trainable.init(jax.random.key(0), None)
    assert make_evaluator(system, 25)(params, {}, splits.valid)["kl_per_dimension"].shape == (25, 3)


def test_parameters_alone_are_no_initial_state(splits):
    init = make_system(optax.sgd(0.1)).trainable.init
    system = with_trainable(init=lambda key, batch: init(key, batch)[0])  # a dict of two, which could be unpacked
    with pytest.raises(UserError, match=r"`init` gives a dict, expected \(params, model_state\)"):
        fit(system, splits, SETTINGS)


def data(splits, **parts):
    return splits._replace(**parts)


DATA = {
    "an array": (
        lambda s: s.train.x,
        r"data are an array of shape \[70, 4, 4, 1\], expected Splits\(train,",
    ),
    "a part": (lambda s: s.train, r"The data are a Dataset, expected Splits\(train, valid, test\)"),
    "a tuple": (lambda s: (s.train, s.valid, s.test), "The data are a tuple of 3, expected Splits"),
    "arrays for parts": (
        lambda s: Splits(*(part.x for part in s)),
        r"training set is an array of .* expected Dataset\(",
    ),
    "images without a channel": (
        lambda s: data(s, valid=Dataset(s.valid.x[..., 0], None)),
        r"validation set has images of shape \[4, 4\], expected \[4, 4, 1\], .* \(an axis of channels is missing: ",
    ),
    "images of another size": (
        lambda s: data(s, train=Dataset(s.train.x[:, :3], None)),
        r"training set has images of shape \[3, 4, 1\], expected \[4, 4, 1\], that of the system's spec: reshape",
    ),
    "lists": (
        lambda s: data(s, test=Dataset(s.test.x.tolist(), None)),
        r"test set has a list of 25 for x, expected an array of examples: np\.asarray",
    ),
    "labels of others": (
        lambda s: data(s, train=Dataset(s.train.x, np.zeros(7, np.int32))),
        "training set has 70 examples and 7 labels: give one for each",
    ),
}


@pytest.mark.parametrize("name", DATA)
def test_data_that_are_not_as_the_system_wants_them_are_named(splits, name):
    change, message = DATA[name]
    system = make_system(optax.sgd(0.1))
    with pytest.raises(UserError, match=message):
        fit(system, change(splits), SETTINGS)
    with pytest.raises(UserError, match=message):
        fit_sweep(system, change(splits), [Member(0), Member(1)], SETTINGS)


def test_evaluated_images_have_the_shape_of_the_system(splits):
    system = make_system(optax.sgd(0.1))
    params, _ = system.trainable.init(jax.random.key(0), None)
    with pytest.raises(UserError, match=r"The evaluated set has images of shape \[4, 4\], expected \[4, 4, 1\]"):
        make_evaluator(system, 25)(params, {}, Dataset(splits.test.x[..., 0], None))
