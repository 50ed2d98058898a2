"""The foreground of binary samples beside that of the data."""

import numpy as np
import pytest

from jaxvae.reports.foreground import diagnose_foreground, foreground_metrics
from jaxvae.types import Dataset


def images(num, ones, empty=0):
    """Return images of 5x5 pixels with as many ones each, the first of them empty."""
    x = np.zeros((num, 25), np.uint8)
    x[empty:, :ones] = 1
    return x.reshape(num, 5, 5, 1)


def test_shares_are_those_of_the_pixels_and_of_the_images():
    found = foreground_metrics(images(50, 5, 1).astype(np.float32), Dataset(images(20, 10, 2), None), 2)
    expected = {"foreground": 0.36, "foreground_of_samples": 0.196, "empty_images": 0.1, "empty_samples": 0.02}
    assert found == pytest.approx(expected | {"samples": 50})


def test_of_images_that_are_binarised_intensity_is_the_foreground():
    grey = Dataset(images(4, 5) * np.uint8(51), None)
    assert foreground_metrics(images(4, 5), grey, 256)["foreground"] == pytest.approx(0.04)


def test_samples_with_greys_have_none():
    assert foreground_metrics(images(2, 5) * 0.5, Dataset(images(2, 5), None), 2) == {}
    assert diagnose_foreground({"nll": 1.0}) is None


@pytest.mark.parametrize(("samples", "test", "said"), [
    (images(100, 5, 3), images(100, 5), "3 of 100 samples are empty, of the training images none."),
    (images(100, 5, 2), images(100, 5), None),
    (images(100, 5, 13), images(100, 5, 10), "13 of 100 samples are empty, of the training images 10 %."),
    (images(100, 5, 12), images(100, 5, 10), None),
    (images(100, 2), images(100, 5), "Samples have 8 % of foreground, the training images 20 %."),
    (images(100, 11), images(100, 5), "Samples have 44 % of foreground, the training images 20 %."),
    (images(100, 10), images(100, 5), None),
])  # fmt: skip
def test_what_is_said_of_samples_unlike_the_data(samples, test, said):
    assert diagnose_foreground(foreground_metrics(samples, Dataset(test, None), 2)) == said
