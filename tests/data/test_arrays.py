"""Images in memory, as examples of a system that is trained."""

import numpy as np
import pytest

from jaxvae.data.arrays import as_examples
from jaxvae.errors import UserError
from jaxvae.types import DataSpec

BINARY, GREY = DataSpec((2, 2, 1), 2, 0), DataSpec((2, 2, 1), 256, 0)
MASKS = np.array([[[0, 1], [1, 1]], [[1, 0], [0, 0]]], np.uint8)
WHITES = np.array([1, 255], np.uint8)[:, None, None]


@pytest.mark.parametrize("x", [MASKS, MASKS * 255, MASKS * WHITES, MASKS > 0, MASKS * 1.0, MASKS * 128])
def test_black_and_white_is_so_in_every_way_that_load_knows(x):
    found = as_examples(x, BINARY)
    np.testing.assert_array_equal(found[..., 0], MASKS)


def test_what_is_grey_is_refused_by_a_system_of_binary_images():
    with pytest.raises(UserError, match="The images are grey"):
        as_examples(MASKS * 100 + np.arange(2, dtype=np.uint8), BINARY)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[[1, 2]], [[1]]], "The images are no array"),
        (MASKS + 1.00001, "The images hold floats from 1.00001 to 2.00001, expected 0 to 1"),
        (MASKS.astype(np.int64) * 65535, "The images hold integers from 0 to 65535"),
        (MASKS[:, :1], "The images are of 1x2 pixels and 1 channel, the model is of 2x2 and 1"),
    ],
)
def test_what_is_no_example_is_refused_in_one_sentence(x, message):
    with pytest.raises(UserError, match=message) as error:
        as_examples(x, GREY)
    assert "\n" not in str(error.value)


def test_floats_outside_by_a_rounding_are_clipped():
    assert as_examples(np.full((1, 2, 2), 1.0000001), GREY).max() == 1
