"""New images beside given ones, of the same type and shape, as imbalanced-learn's samplers give them."""

import numpy as np
import pytest

from jaxvae import Augmenter, UserError
from jaxvae.runs.trained import Trained
from tests.linear import SHAPE, linear_system

X = np.random.default_rng(0).integers(60, 200, (7, *SHAPE)).astype(np.uint8)
Y = np.array([1, 0, 1, 1, 0, 1, 1])


@pytest.fixture(scope="module")
def trained():
    system, params = linear_system()
    return Trained(system, params, {}, {"config": {}}, None)


def test_given_images_come_first_and_classes_are_of_one_size(trained):
    x, y = Augmenter(trained, balance=True).fit_resample(X, Y)
    assert x.dtype == np.uint8
    assert x.shape == (10, *SHAPE)
    np.testing.assert_array_equal(x[:7], X)
    np.testing.assert_array_equal(y, [*Y, 0, 0, 0])
    assert y.dtype == Y.dtype
    assert np.abs(x[7:].astype(float) - x[7:].mean()).max() > 5  # of 0 to 255
    flat, _ = Augmenter(trained, "interpolation", num=2).fit_resample((X / 255.0)[..., 0], Y)
    assert flat.shape == (11, *SHAPE[:2])
    assert flat.dtype == np.float64


def test_the_seed_decides(trained):
    first, again, other = (Augmenter(trained, seed=seed).new(X, Y).x for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"balance": True, "num": 3}, "num and balance are both given"),
        ({"num": 0}, "num is 0, expected a whole number of at least 1"),
        ({"method": "samples"}, "linear cannot draw images of a class"),
    ],
)
def test_arguments_that_make_no_sense(trained, change, said):
    with pytest.raises(UserError, match=said):
        Augmenter(trained, **change)


@pytest.mark.parametrize("labels", [Y[:3], Y - 1, Y / 2.0])
def test_labels_that_are_none(trained, labels):
    with pytest.raises(UserError, match="expected a class, from 0, for each of 7 images"):
        Augmenter(trained).new(X, labels)
