"""Directions of attributes against codes that were made with one, and moved images against a linear decoder."""

import jax
import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.applications.attributes import find_attribute, move_along
from tests.linear import SHAPE, B, W, linear_system

NUM = 400


@pytest.fixture(scope="module")
def made():
    """Codes of four dimensions: the attribute moves the first by 2; the second goes with it, by accident."""
    rng = np.random.default_rng(0)
    has = rng.random(NUM) < 0.3
    codes = rng.standard_normal((NUM, 4)) * np.array([0.5, 3.0, 1.0, 1.0])
    codes[:, 0] += 2.0 * has
    codes[:, 1] += 1.5 * has
    return codes, has


def test_the_difference_of_means_goes_from_one_to_the_other(made):
    codes, has = made
    found = find_attribute(codes, has)
    np.testing.assert_allclose(found.direction, codes[has].mean(0) - codes[~has].mean(0), rtol=1e-6)
    assert (found.num_with, found.num_without) == (has.sum(), NUM - has.sum())
    opposite = find_attribute(codes, ~has)
    np.testing.assert_allclose(opposite.direction, -found.direction, rtol=1e-6)


def test_a_normal_leaves_out_what_does_not_tell_the_attribute(made):
    codes, has = made
    means, normal = (find_attribute(codes, has, method) for method in ("means", "classifier"))
    side = lambda direction: abs(direction[1]) / np.linalg.norm(direction)  # noqa: E731
    assert side(normal.direction) < 0.2 < 0.5 < side(means.direction)
    assert normal.accuracy > 0.95 > means.accuracy
    # Along it the means are as far apart as its length.
    unit = normal.direction / np.linalg.norm(normal.direction)
    apart = unit @ (codes[has].mean(0) - codes[~has].mean(0))
    np.testing.assert_allclose(np.linalg.norm(normal.direction), apart, rtol=1e-5)


def test_accuracy_is_the_mean_of_both_kinds():
    codes = np.array([[0.0], [1.0], [2.0], [5.0]])
    found = find_attribute(codes, np.array([False, False, False, True]))
    assert found.accuracy == 1.0  # the middle is at 3
    noise = np.random.default_rng(1).standard_normal((2_000, 1))
    assert find_attribute(noise, np.arange(2_000) < 100).accuracy == pytest.approx(0.5, abs=0.1)


def test_images_are_decoded_at_moved_codes():
    system, params = linear_system()
    codes, direction = np.array([[0.1, 0.2], [-0.3, 0.4]]), np.array([0.5, -0.25])
    images = move_along(system, params, {}, jax.random.key(0), codes, direction, (0.0, 1.0, -2.0))
    assert images.shape == (2, 3, *SHAPE)
    for i, z in enumerate(codes):
        for j, strength in enumerate((0.0, 1.0, -2.0)):
            np.testing.assert_allclose(images[i, j].ravel(), W @ (z + strength * direction) + B, rtol=1e-5)


@pytest.mark.parametrize(("has", "change", "message"), [
    (np.ones(NUM, bool), {}, "All of the 400 images have the attribute: expected some with it and some without"),
    (np.zeros(NUM, bool), {}, "None of the 400 images have the attribute"),
    (np.arange(3) > 1, {}, r"the attribute is bool of \[3\]: expected \[N, D\] and booleans \[N\]"),
    (np.arange(NUM) % 2, {}, "the attribute is int64"),
    (np.arange(NUM) > 9, {"method": "svm"}, "method is 'svm', expected one of means, classifier"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(made, has, change, message):
    with pytest.raises(UserError, match=message):
        find_attribute(made[0], has, **change)


@pytest.mark.parametrize(("change", "message"), [
    ({"strengths": ()}, "expected finite numbers, one at least"),
    ({"strengths": (np.nan,)}, "expected finite numbers, one at least"),
    ({"direction": np.zeros(3)}, r"The codes are of shape \[1, 3\], those of linear of \[N, 2\]"),
])  # fmt: skip
def test_moves_that_make_no_sense_are_refused(change, message):
    system, params = linear_system()
    with pytest.raises(UserError, match=message):
        move_along(
            system, params, {}, jax.random.key(0), **{"codes": np.zeros((1, 2)), "direction": np.ones(2)} | change
        )
