"""Masks by name: what is white, of even and odd sizes."""

import numpy as np
import pytest

from jaxvae.data.arrays import as_mask
from jaxvae.data.masks import MASKS, named_mask
from jaxvae.errors import UserError
from jaxvae.types import DataSpec


def drawn(*rows):
    return np.array([[pixel == "#" for pixel in row] for row in rows])


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("left-half", ("##...", "##...", "##...")),
        ("right-half", ("..###", "..###", "..###")),
        ("top-half", ("#####", ".....", ".....")),
        ("bottom-half", (".....", "#####", "#####")),
        ("top-left", ("##...", ".....", ".....")),
        ("bottom-right", (".....", "..###", "..###")),
        ("all-but-bottom-left", ("#####", "..###", "..###")),
        ("1,0,3,2", (".##..", ".##..", ".....")),
    ],
)
def test_a_name_says_what_is_filled_in(name, rows):
    np.testing.assert_array_equal(named_mask(name, 3, 5), drawn(*rows))
    np.testing.assert_array_equal(as_mask(name, 7, DataSpec((3, 5, 1), 2, 0)), drawn(*rows)[None])


def test_halves_and_quadrants_are_all_of_an_image_once():
    masks = {name: named_mask(name, 5, 7).astype(int) for name in MASKS}
    assert np.all(masks["left-half"] + masks["right-half"] == 1)
    assert np.all(masks["top-half"] + masks["bottom-half"] == 1)
    assert np.all(sum(masks[name] for name in MASKS if "half" not in name) == 1)
    for name in MASKS:
        np.testing.assert_array_equal(named_mask(f"all-but-{name}", 5, 7), masks[name] == 0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("left", "There is no mask 'left': expected one of left-half"),
        ("all-but-", "There is no mask"),
        ("1,2,3", "There is no mask"),
        ("0,0,6,2", "The box 0,0,6,2 is not in images of 5x3"),
        ("2,1,2,3", "is not in images"),
    ],
)
def test_masks_that_do_not_exist_are_one_sentence(name, message):
    with pytest.raises(UserError, match=message):
        named_mask(name, 3, 5)
