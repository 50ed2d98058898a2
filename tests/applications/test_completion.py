"""Completions of images as people have them: known pixels bit for bit, masks, labels, batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.applications import completion
from jaxvae.applications.completion import complete, log_unknown
from jaxvae.capabilities import Completes, ScoresCompletions
from jaxvae.data.arrays import as_mask
from jaxvae.systems.pixels import binary_pixels, unit_pixels
from jaxvae.types import Dataset, DataSpec, Samples
from tests.linear import linear_system

SHAPE, KEY = (3, 4, 1), jax.random.key(0)
GENERATOR = np.random.default_rng(0)
MASKS = GENERATOR.random((5, 3, 4)) < 0.5
IMAGES = {
    "uint8": (256, GENERATOR.integers(0, 256, (5, *SHAPE)).astype(np.uint8)),
    "binary": (2, GENERATOR.integers(0, 2, (5, *SHAPE)).astype(np.uint8)),
    "float": (256, GENERATOR.random((5, *SHAPE)).astype(np.float32)),
}


def fake(params, model_state, keys, x, labels, known, num):
    """Unknown pixels of noise and the class; their means are that of x."""
    noise = jax.vmap(lambda key: jax.random.uniform(key, (num, *SHAPE)), out_axes=1)(keys)
    of_class = 0.0 if labels is None else labels[None, :, None, None, None].astype(jnp.float32)
    known = known[None, ..., None]
    mean = jnp.sum(x, axis=(1, 2, 3), keepdims=True)[None] * jnp.ones_like(noise)  # unknown ones are no part of x
    return Samples(jnp.where(known, x, noise + of_class), jnp.where(known, x, mean / 12))


def system_of(num_values=256, num_classes=0, prepare=unit_pixels, function=fake):
    spec = DataSpec(SHAPE, num_values, 3)
    system, _ = linear_system("fake")
    return system._replace(spec=spec, prepare=prepare(spec), use=(Completes(function, num_classes),))


@pytest.mark.parametrize("prepare", [unit_pixels, binary_pixels])
@pytest.mark.parametrize("name", IMAGES)
def test_known_pixels_come_back_bit_for_bit(name, prepare):
    num_values, x = IMAGES[name]
    found = complete(system_of(num_values, prepare=prepare), {}, {}, Dataset(x, None), MASKS, KEY, 3)
    assert found.dtype == np.float32
    assert found.shape == (5, 3, *SHAPE)
    given = x if name == "float" else x / np.float32(num_values - 1)
    for i in range(3):
        np.testing.assert_array_equal(found[:, i][~MASKS], given[~MASKS])
    if name == "uint8":
        np.testing.assert_array_equal(np.round(found[:, 0] * 255)[~MASKS].astype(np.uint8), x[~MASKS])
    assert (np.diff(found[:, :, MASKS[0]], axis=1) != 0).any()


def test_unknown_pixels_do_not_know_what_they_were_and_means_are_no_draws():
    _, x = IMAGES["uint8"]
    options = {"key": KEY, "num": 2}
    other = np.where(MASKS[..., None], 255 - x, x)
    for drawn in (True, False):
        found, again = (
            complete(system_of(), {}, {}, Dataset(one, None), MASKS, **options, drawn=drawn) for one in (x, other)
        )
        np.testing.assert_array_equal(found, again)
    expected = np.where(MASKS[..., None], 0, x / 255).sum(axis=(1, 2, 3)) / 12
    np.testing.assert_allclose(found[0, 0][MASKS[0]], np.full((MASKS[0].sum(), 1), expected[0]), rtol=1e-5)


def test_batches_masks_and_fewer_completions_change_nothing(monkeypatch):
    _, x = IMAGES["float"]
    whole = complete(system_of(), {}, {}, Dataset(x, None), MASKS[0], KEY, 4)
    each = complete(system_of(), {}, {}, Dataset(x, None), np.tile(MASKS[0], (5, 1, 1)), KEY, 4)
    np.testing.assert_array_equal(whole, each)
    monkeypatch.setattr(completion, "BATCH", 8)  # two images at a time
    np.testing.assert_array_equal(whole, complete(system_of(), {}, {}, Dataset(x, None), MASKS[0], KEY, 4))


def test_labels_are_those_of_the_images():
    _, x = IMAGES["float"]
    system, mask = system_of(num_classes=3), np.ones((3, 4), bool)
    labels = np.array([0, 1, 0, 1, 2])
    found = complete(system, {}, {}, Dataset(x, labels), mask, KEY, 1)
    np.testing.assert_array_equal(found.reshape(5, -1).min(axis=1) == 1, labels > 0)
    with pytest.raises(UserError, match="fake is conditional on classes: expected labels, one from 0 to 2 each"):
        complete(system, {}, {}, Dataset(x, None), mask, KEY, 1)


def test_what_cannot_be_done_is_said_before_anything_is_computed():
    _, x = IMAGES["float"]

    def without_means(*arguments):
        return fake(*arguments)._replace(mean=None)

    system, dataset = system_of(function=without_means), Dataset(x, None)
    assert complete(system, {}, {}, dataset, MASKS, KEY, 1).shape == (5, 1, *SHAPE)
    with pytest.raises(
        UserError, match="fake draws pixels one by one, and has no means of them: leave drawn=False out"
    ):
        complete(system, {}, {}, dataset, MASKS, KEY, 1, drawn=False)
    with pytest.raises(UserError, match="num is 0, expected a whole number of at least 1"):
        complete(system, {}, {}, dataset, MASKS, KEY, 0)
    with pytest.raises(UserError, match="fake cannot complete images: expected one of VAEs whose pixels"):
        complete(system._replace(use=()), {}, {}, dataset, MASKS)


def scoring(params, model_state, keys, x, labels, known, num):
    """The sum of the unknown pixels, and how many draws they took."""
    return jnp.sum(jnp.where(known[..., None], 0.0, x), axis=(1, 2, 3)) + 100.0 * num


def test_nothing_is_drawn_for_what_is_exact(monkeypatch):
    _, x = IMAGES["float"]
    for exact in (True, False):
        able = ScoresCompletions(scoring, lambda known, exact=exact: np.full(len(known), exact))
        system = system_of()._replace(use=(able,))
        found = log_unknown(system, {}, {}, Dataset(x, None), MASKS, num_samples=7)
        expected = (x[..., 0] * MASKS).sum(axis=(1, 2)) + (0 if exact else 700)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        monkeypatch.setattr(completion, "BATCH", 2)
        np.testing.assert_array_equal(log_unknown(system, {}, {}, Dataset(x, None), MASKS, num_samples=7), found)
        assert completion.is_exact(system, MASKS[0]) == exact
    with pytest.raises(UserError, match="fake cannot give log p of some pixels given the others: expected one of VAEs"):
        log_unknown(system_of(), {}, {}, Dataset(x, None), MASKS)


BOOLS = np.array([[True, False], [False, False]])


@pytest.mark.parametrize(
    "mask", [BOOLS, BOOLS * np.uint8(255), BOOLS * 1, BOOLS * 1.0, BOOLS[..., None], np.stack([BOOLS] * 3)], ids=str
)
def test_white_is_what_is_filled_in(mask):
    found = as_mask(mask, 3, DataSpec((2, 2, 1), 256, 0))
    assert found.dtype == bool
    np.testing.assert_array_equal(np.broadcast_to(found, (3, 2, 2)), np.stack([BOOLS] * 3))


@pytest.mark.parametrize(("mask", "message"), [
    (np.zeros((2, 3)), r"The mask is of shape \[2, 3\], expected \[2, 2\], as the model has images, or one for each"),
    (np.zeros((2, 2, 2)), r"The mask is of shape \[2, 2, 2\]"),
    (np.array([[0, 128], [255, 0]]), "The mask has more values than black and white: threshold it"),
    (np.array([[0, -1], [0, 0]]), "The mask has more values than black and white"),
    (np.array([[0, np.nan], [0, 0]]), "The mask has more values than black and white"),
    (np.array([["a", "b"], ["a", "b"]]), "The mask has more values than black and white"),
    ([[0], [1, 2]], "The masks are no array"),
])  # fmt: skip
def test_masks_that_are_none_are_refused(mask, message):
    with pytest.raises(UserError, match=message):
        as_mask(mask, 3, DataSpec((2, 2, 1), 256, 0))
