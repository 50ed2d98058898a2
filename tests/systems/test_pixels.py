"""What is said of images that a system binarises, and that it is said of no others."""

import pytest

import jaxvae as jv
from jaxvae.systems.pixels import say_binarised
from jaxvae.types import DataSpec

GREY, COLOUR, BINARY = DataSpec((8, 8, 1), 256, 3), DataSpec((8, 8, 3), 256, 3), DataSpec((8, 8, 1), 2, 3)


@pytest.mark.parametrize(
    ("build", "spec", "options", "said"),
    [
        (jv.systems.vae, GREY, {}, True),
        (jv.systems.vae, GREY, {"class_conditional": True}, True),
        (jv.systems.vae, GREY, {"likelihood": "logistic_mixture"}, False),
        (jv.systems.vae, COLOUR, {}, False),
        (jv.systems.vae, BINARY, {}, False),
        (jv.systems.autoregressive, GREY, {}, True),
        (jv.systems.vqvae, GREY, {}, False),
    ],
)
def test_binarised_images_are_said_to_be(build, spec, options, said, capsys):
    say_binarised(build(spec, **options), "another model")
    error = capsys.readouterr().err
    assert ("256 values and are binarised anew at every visit" in error) == said
    assert ("another model models the values themselves" in error) == said
