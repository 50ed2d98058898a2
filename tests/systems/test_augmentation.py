"""Augmented systems: what their losses see, until when, and that nothing else of a step changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxvae as jv
from jaxvae.errors import UserError
from jaxvae.systems.augmentation import (
    Augmentation,
    AugmentedLoss,
    augment,
    augmented,
    default_shift,
    with_default_shift,
)
from jaxvae.training.step import step_keys
from jaxvae.types import Batch, Player, StepInput, System, Trainable, TrainState

SPEC = jv.DataSpec((6, 6, 1), 2, 0)
X = np.zeros((64, 6, 6, 1), np.uint8)
X[:, 2, 1] = 1  # one pixel, in the left half


def seen_by(system, step, hparams=None):
    """Return the images that the loss of a system sees in a step."""
    given = {**system.trainable.hparams, **(hparams or {})}
    hparams = {name: jnp.float32(value) for name, value in given.items()}
    state = TrainState(jnp.int32(step), {}, (), {}, None, hparams, jax.random.key(0))
    batch = Batch(jnp.asarray(X), None, jnp.ones(len(X)))
    inputs = StepInput(batch, step_keys(state, len(X)), state.step, state.hparams)
    return np.asarray(system.trainable.players[0].loss({}, {}, inputs)[1][1]["x"])


def seeing_system(spec=SPEC):
    loss = lambda params, model_state, inputs: (0.0, (model_state, {"x": inputs.batch.x}))  # noqa: E731
    return System("seeing", spec, None, Trainable(None, (Player("one", loss, None),), None, {}), (), None)


def places(x):
    return {tuple(int(i) for i in np.argwhere(image[..., 0])[0]) for image in x}


def test_images_are_shifted_in_nine_tenths_of_the_steps_and_stay_binary():
    system = augmented(seeing_system(), shift=1, steps=100)
    x = seen_by(system, 89)
    assert x.dtype == np.uint8
    assert set(np.unique(x)) == {0, 1}
    assert places(x) == {(row, column) for row in (1, 2, 3) for column in (0, 1, 2)}
    np.testing.assert_array_equal(seen_by(system, 90), X)
    longer = jv.systems.with_steps(system, 200)  # as of a training that is asked for more
    assert places(seen_by(longer, 179)) == places(x)
    np.testing.assert_array_equal(seen_by(longer, 180), X)


def test_what_comes_into_images_is_the_colour_of_their_border_and_black_into_binary_ones():
    loss = lambda params, model_state, inputs: (0.0, (model_state, {"x": inputs.batch.x}))  # noqa: E731
    keys = step_keys(TrainState(0, {}, (), {}, None, {}, jax.random.key(0)), 50)
    for channels, num_values, seen in ((3, 256, {255}), (1, 256, {255}), (1, 2, {0, 1})):
        x = jnp.full((50, 6, 6, channels), num_values - 1, jnp.uint8)
        system = seeing_system(jv.DataSpec((6, 6, channels), num_values, 0))
        found = augmented(system, shift=2).trainable.players[0].loss
        assert isinstance(found, AugmentedLoss)
        inputs = StepInput(Batch(x, None, jnp.ones(50)), keys, jnp.int32(0), {"augment_steps": 5})
        moved = AugmentedLoss(loss, found.augmentation)({}, {}, inputs)[1][1]["x"]
        assert set(np.unique(moved).tolist()) == seen


def test_images_are_mirrored_until_the_end():
    for step in (0, 99):
        assert places(seen_by(augmented(seeing_system(), flip=True, steps=100), step)) == {(2, 1), (2, 4)}


def test_without_augmentation_the_system_is_the_same():
    system = seeing_system()
    assert augmented(system) is system


def test_the_same_step_sees_the_same_images_and_another_step_others():
    system = augmented(seeing_system(), shift=2, flip=True)
    np.testing.assert_array_equal(seen_by(system, 3), seen_by(system, 3))
    assert (seen_by(system, 3) != seen_by(system, 4)).any()


def test_the_draws_of_the_loss_are_those_that_it_has_without_augmentation():
    def loss(params, model_state, inputs):
        return 0.0, (model_state, {"key": jax.random.key_data(inputs.keys.examples)})

    inputs = StepInput(Batch(jnp.asarray(X), None, jnp.ones(len(X))), None, jnp.int32(0), {"augment_steps": 5})
    inputs = inputs._replace(keys=step_keys(TrainState(0, {}, (), {}, None, {}, jax.random.key(1)), len(X)))
    keys = [one({}, {}, inputs)[1][1]["key"] for one in (loss, AugmentedLoss(loss, Augmentation(1, True)))]
    np.testing.assert_array_equal(*keys)


def test_an_image_is_augmented_in_any_batch_alike():
    keys = jax.random.split(jax.random.key(0), len(X))
    whole = augment(keys, jnp.asarray(X), Augmentation(2, True))
    np.testing.assert_array_equal(whole[10:20], augment(keys[10:20], jnp.asarray(X[10:20]), Augmentation(2, True)))


@pytest.mark.parametrize(("side", "num", "expected"), [
    (28, 4_000, 1), (28, 60_000, 1), (64, 320, 6), (64, 60_000, 2), (28, 10, 3), (8, 60_000, 0), (8, 100, 1), (7, 9, 0),
])  # fmt: skip
def test_the_default_is_the_more_the_fewer_images_there_are(side, num, expected):
    spec = jv.DataSpec((side, 2 * side, 1), 2, 0)
    assert default_shift(spec, num) == expected
    chosen = with_default_shift(augmented(seeing_system(spec), shift=None), num)
    assert chosen.trainable.players[0].loss.augmentation == Augmentation(expected, False)
    given = augmented(seeing_system(spec), shift=2, flip=True)
    assert with_default_shift(given, num).trainable.players[0].loss.augmentation == Augmentation(2, True)


@pytest.mark.parametrize(("spec", "shift", "message"), [
    (SPEC, 6, "The shift is 6 pixels, expected 0 to less than the 6 pixels"),
    (SPEC, -1, "The shift is -1 pixels"),
    (jv.DataSpec((7, 7), 512, 0), 1, r"seeing is of examples of shape \[7, 7\], only images can be shifted"),
])  # fmt: skip
def test_what_cannot_be_shifted_is_refused(spec, shift, message):
    with pytest.raises(UserError, match=message):
        augmented(seeing_system(spec), shift=shift)


@pytest.mark.slow
def test_a_run_says_how_its_images_are_augmented(tmp_path):
    spec = jv.DataSpec((6, 6, 1), 2, 0)
    system = jv.systems.vae(spec, latent_dim=2, net="mlp", shift=1, flip=True)
    trained = jv.train(system, X, steps=2, batch_size=8, folder=tmp_path / "a")
    assert trained.record["system"]["augmentation"] == {"shift": 1, "flip": True, "edge": False}
    assert trained.record["system"]["hparams"]["augment_steps"] == 2
    other = jv.systems.vae(spec, latent_dim=2, net="mlp", shift=2, flip=True)
    with pytest.raises(UserError, match="augmentation.shift was 1 and is 2 now"):
        jv.train(other, X, steps=2, batch_size=8, folder=tmp_path / "a", resume=True)
    longer = jv.train(system, X, steps=4, batch_size=8, folder=tmp_path / "a", resume=True)
    assert longer.training["steps"] == 4
