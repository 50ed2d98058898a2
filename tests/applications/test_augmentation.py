"""New images of classes: of which images they are made, and where they lie between these."""

import jax
import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.applications.augmentation import new_images, new_per_class, variants
from jaxvae.types import Dataset
from tests.linear import SHAPE, STD, A, B, W, linear_system

KEY = jax.random.key(3)
X = np.random.default_rng(0).integers(60, 200, (9, *SHAPE)).astype(np.uint8)
LABELS = np.array([0, 1, 0, 2, 1, 0, 1, 0, 2], np.int32)
DATA = Dataset(X, LABELS)
CODES = (X.reshape(9, -1) / 255.0 - B) @ A.T  # posterior means


def made(per_class, method, data=DATA):
    system, params = linear_system()
    return new_images(system, params, {}, data, KEY, per_class, method)


def codes_of(x):
    return (x.reshape(len(x), -1) - B) @ np.linalg.pinv(W).T


def test_variants_are_draws_of_the_posterior_of_all_images_in_turn():
    found = made({0: 8, 2: 3}, "variants")
    assert found.labels.tolist() == [0] * 8 + [2] * 3
    rows = found.sources[:, 0]
    assert sorted(rows[:8].tolist()) == [0, 0, 2, 2, 5, 5, 7, 7]  # each of the class as often
    np.testing.assert_array_equal(LABELS[rows], found.labels)
    assert len(np.unique(found.x.reshape(11, -1), axis=0)) == 11
    system, params = linear_system()
    many = variants(system, params, {}, Dataset(np.repeat(X[:1], 4_000, axis=0), None), KEY)
    z = codes_of(many)
    np.testing.assert_allclose(z.mean(axis=0), CODES[0], atol=4 * STD / np.sqrt(4_000))
    np.testing.assert_allclose(z.std(axis=0), STD, rtol=0.06)


def test_images_between_two_are_on_the_line_of_their_codes():
    found = made({1: 40}, "interpolation")
    z, (a, b) = codes_of(found.x), CODES[found.sources].swapaxes(0, 1)
    assert (found.sources[:, 0] != found.sources[:, 1]).all()
    assert set(map(tuple, found.sources)) == {(i, j) for i in (1, 4, 6) for j in (1, 4, 6) if i != j}
    t = np.sum((z - a) * (b - a), axis=1) / np.sum(np.square(b - a), axis=1)
    np.testing.assert_allclose(z, a + t[:, None] * (b - a), atol=1e-4)
    assert t.min() >= -1e-4
    assert t.max() <= 1 + 1e-4
    assert 0.15 < t.std() < 0.45  # that of even ones is 0.29
    again = made({1: 40}, "interpolation")
    np.testing.assert_array_equal(found.x, again.x)


def test_how_many_new_ones_there_are():
    assert new_per_class(LABELS) == {0: 4, 1: 3, 2: 2}
    assert new_per_class(LABELS, 5) == {0: 5, 1: 5, 2: 5}
    assert new_per_class(LABELS, balance=True) == {0: 0, 1: 1, 2: 2}
    assert made(new_per_class(LABELS, balance=True), "interpolation").labels.tolist() == [1, 2, 2]
    assert made({0: 0}, "variants").x.shape == (0, *SHAPE)


def test_what_cannot_be_made_is_said():
    with pytest.raises(UserError, match="linear cannot draw images of a class"):
        made({0: 1}, "samples")
    with pytest.raises(UserError, match="The method is 'copies', expected one of variants, interpolation, samples"):
        made({0: 1}, "copies")
    with pytest.raises(UserError, match="Class 5 has one image, expected two or more"):
        made({5: 2}, "interpolation", Dataset(X, np.array([5, *[1] * 8], np.int32)))
