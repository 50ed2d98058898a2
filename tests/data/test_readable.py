"""A folder with images that cannot be read: the others are, in their order."""

import numpy as np
import pytest
from PIL import Image

from jaxvae.data.for_model import load_for
from jaxvae.data.readable import load_readable
from jaxvae.errors import UserError
from jaxvae.types import DataSpec

SPEC = DataSpec((8, 6, 1), 256, 0)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "inner").mkdir()
    for i, name in enumerate(["b.png", "a.png", "inner/c.bmp", ".hidden.png"]):
        x = np.random.default_rng(i).integers(0, 256, (8, 6), np.uint8)
        Image.fromarray(x).save(tmp_path / name)
    return tmp_path


def test_sound_images_are_those_of_load_for(folder):
    (folder / "inner" / "c.bmp").unlink()
    found = load_readable(SPEC, f"folder:{folder}")
    assert found.reasons == {}
    expected = load_for(SPEC, f"folder:{folder}")
    np.testing.assert_array_equal(found.dataset.x, expected.x)
    assert found.dataset.names.tolist() == ["a.png", "b.png"]


def test_each_image_that_cannot_be_read_has_its_reason(folder, capsys):
    whole = (folder / "b.png").read_bytes()
    (folder / "d.png").write_bytes(whole[:60])
    (folder / "e.png").write_text("no image")
    (folder / "notes.txt").write_text("no image")
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(folder / "f.png")
    found = load_readable(SPEC, f"folder:{folder}")
    assert found.dataset.names.tolist() == ["a.png", "b.png", "inner/c.bmp"]
    for name, image in zip(found.dataset.names, found.dataset.x, strict=True):
        np.testing.assert_array_equal(image[..., 0], np.asarray(Image.open(folder / name)))
    assert list(found.reasons) == ["d.png", "e.png", "f.png"]
    reasons = list(found.reasons.values())
    assert "d.png cannot be read as an image" in reasons[0]
    assert "e.png has the name of an image and is none of PNG" in reasons[1]
    assert "f.png is 3x3 pixels, the model is of 6x8: pass --resize" in reasons[2]
    resized = load_readable(SPEC, f"folder:{folder}", resize=True)
    assert list(resized.reasons) == ["d.png", "e.png"]
    assert "f.png" in resized.dataset.names
    assert "Traceback" not in capsys.readouterr().err


def test_where_nothing_can_be_read_it_is_the_error_of_load_for(tmp_path):
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(tmp_path / "f.png")
    with pytest.raises(UserError, match="f.png is 3x3 pixels, the model is of 6x8: pass --resize"):
        load_readable(SPEC, f"folder:{tmp_path}")
    with pytest.raises(UserError, match="is not a folder"):
        load_readable(SPEC, f"folder:{tmp_path}/nowhere")
    with pytest.raises(UserError, match="expected digits"):
        load_readable(SPEC, "nonsense")
