"""Maps: their sums, their smoothing, and boxes round what is strange."""

import jax
import numpy as np
import pytest

from jaxvae.applications.anomaly.maps import (
    Box,
    anomaly_maps,
    contributions,
    kind_of,
    normal_level,
    smoothed,
    worst_box,
)
from jaxvae.applications.anomaly.seen import Model, Seen
from jaxvae.capabilities import ScoresPixels
from jaxvae.types import Dataset
from tests.linear import linear_images, linear_system


@pytest.fixture(scope="module")
def seen():
    system, params = linear_system()
    return Seen(Model(system, params, {}), Dataset(linear_images(7), None), jax.random.key(1))


def test_maps_that_are_not_smoothed_sum_to_the_reconstruction_term(seen):
    maps = contributions(seen, "nll")
    assert maps.shape == (7, 2, 3)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), seen.bound.reconstruction, rtol=1e-5)


def test_errors_are_those_of_the_reconstructions(seen):
    system, params, _ = seen.model
    z = seen.codes
    images = system.parts.decode(params, {}, jax.random.split(jax.random.key(0), 7), z)
    expected = np.sum(np.square(np.clip(images, 0, 1) - seen.dataset.x), axis=-1)
    np.testing.assert_allclose(contributions(seen, "error"), expected, atol=1e-6)


def test_systems_without_scores_of_pixels_have_maps_of_errors(seen):
    system, params, state = seen.model
    use = tuple(one for one in system.use if not isinstance(one, ScoresPixels))
    blind = Seen(Model(system._replace(use=use), params, state), seen.dataset, seen.key)
    assert (kind_of(seen), kind_of(blind)) == ("nll", "error")
    np.testing.assert_array_equal(anomaly_maps(blind), smoothed(contributions(blind, "error")))


def test_smoothing_keeps_what_is_even_and_is_largest_where_the_pixel_was():
    np.testing.assert_allclose(smoothed(np.full((2, 9, 28), 3.0)), 3.0, rtol=1e-6)
    one = np.zeros((1, 9, 28))
    one[0, 4, 20] = 1.0
    found = smoothed(one)[0]
    assert np.unravel_index(found.argmax(), found.shape) == (4, 20)
    assert 0 < found[4, 21] < found[4, 20]
    assert np.isfinite(smoothed(np.full((1, 2, 2), np.inf))).all()  # of a value that a likelihood has not


def test_the_box_is_round_the_region_of_the_worst_pixel():
    one = np.zeros((10, 12))
    one[2:5, 3:8] = 4.0
    one[3, 4] = 5.0
    one[8, 10] = 4.5  # another region
    assert worst_box(one, level=1.0) == Box(left=3, top=2, right=8, bottom=5)
    assert worst_box(one, level=100.0) == Box(3, 2, 8, 5)
    assert worst_box(np.zeros((4, 4)), level=0.0) == Box(0, 0, 4, 4)


def test_the_level_is_above_the_worst_pixels_of_normal_images():
    maps = np.zeros((100, 2, 2))
    maps[:, 0, 0] = np.arange(100)
    assert normal_level(maps) == pytest.approx(94.05)
