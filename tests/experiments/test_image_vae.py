"""VAEs of 8-bit images: networks by the size of the images, and images that belong elsewhere."""

import pytest

from experiments import binary_vae, image_vae
from jaxvae.errors import UserError
from jaxvae.types import DataSpec
from tests.experiments.conftest import run_command


@pytest.mark.parametrize(
    ("side", "channels", "blocks"),
    [
        (8, (96,), (1,)),
        (28, (48, 96), (1, 1)),
        (64, (24, 48, 96), (0, 1, 1)),
        (128, (12, 24, 48, 96), (0, 0, 1, 1)),
    ],
)
def test_networks_by_size(side, channels, blocks):
    found = image_vae.with_networks_by_size(image_vae.Config(), DataSpec((side, side + 20, 3), 256, 0))
    assert (found.channels, found.num_blocks) == (channels, blocks)
    given = image_vae.Config(channels=(8, 8), num_blocks=(2,))
    assert image_vae.with_networks_by_size(given, DataSpec((side, side, 3), 256, 0)) == given


def test_binary_images_are_sent_to_their_own_experiment_and_grey_ones_are_told_of_theirs(capsys):
    spec = DataSpec((8, 8, 1), 2, 0)
    with pytest.raises(UserError, match=r"binary, .*experiments\.binary_vae"):
        image_vae.check([image_vae.Config()], None, None, spec)
    binary_vae.check([binary_vae.Config()], None, None, spec)
    assert capsys.readouterr().err == ""
    binary_vae.check([binary_vae.Config()], None, None, spec._replace(num_values=256))
    assert "python -m experiments.image_vae models the values themselves" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_has_bits_per_dimension_and_says_where_to_begin(images, tmp_path, capsys):
    run_command("image_vae", "--latent-dim", "2", out=tmp_path)
    printed = capsys.readouterr().out
    assert "bits/dim" in printed
    assert "independent pixels: " in printed
    assert "begin with sample_means.png" in printed


@pytest.mark.parametrize("flags", [{"channels": (0,)}, {"channels": (8,), "num_blocks": (1, 2)}, {"num_components": 0}])
def test_impossible_networks_are_refused(flags):
    with pytest.raises(UserError, match="expected"):
        image_vae.Config(**flags)
    with pytest.raises(UserError, match="--channels is .*, expected at least one number"):
        binary_vae.Config(channels=())
