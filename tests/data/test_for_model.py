"""Images for a model that is trained: the whole source in its order, in the model's size, values and colours."""

import numpy as np
import pytest
from PIL import Image

from jaxvae.data.for_model import load_for
from jaxvae.data.resize import resize
from jaxvae.data.source import load
from jaxvae.errors import UserError
from jaxvae.types import DataSpec

GREY, BINARY, COLOUR = DataSpec((8, 6, 1), 256, 0), DataSpec((8, 6, 1), 2, 0), DataSpec((8, 6, 3), 256, 0)


def write(folder, name, x):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(x).save(path)


def grey(seed=0, size=(8, 6)):
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8)


def test_all_images_come_in_order_with_their_names(tmp_path):
    for i, name in enumerate(["b.png", "a.png", "c.bmp"]):
        write(tmp_path, name, grey(i))
    found = load_for(GREY, f"folder:{tmp_path}")
    assert found.names.tolist() == ["a.png", "b.png", "c.bmp"]
    np.testing.assert_array_equal(found.x[..., 0], [grey(1), grey(0), grey(2)])
    assert found.labels is None


def test_one_image_is_enough_and_two_values_are_no_mask_for_a_grey_model(tmp_path):
    x = np.where(grey() > 99, 220, 30).astype(np.uint8)
    write(tmp_path, "a.png", x)
    np.testing.assert_array_equal(load_for(GREY, f"folder:{tmp_path}").x[0, ..., 0], x)
    np.testing.assert_array_equal(load_for(BINARY, f"folder:{tmp_path}").x[0, ..., 0], x > 99)


def test_zeros_and_ones_are_black_and_white(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", images=grey()[None] > 99)
    source = f"npz:{tmp_path / 'a.npz'}"
    assert set(np.unique(load_for(GREY, source).x)) == {0, 255}
    assert "which are taken for black and white" in capsys.readouterr().err
    assert set(np.unique(load_for(BINARY, source).x)) == {0, 1}


def test_parts_are_those_of_training(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (30, 8, 6), np.uint8)
    np.savez(tmp_path / "a.npz", images=x, labels=np.arange(30))
    source = f"npz:{tmp_path / 'a.npz'}"
    whole = load_for(GREY, source)
    np.testing.assert_array_equal(whole.x[..., 0], x)
    np.testing.assert_array_equal(whole.labels, np.arange(30))
    assert whole.names[:2].tolist() == ["00", "01"]
    for part, expected in load(source)[0]._asdict().items():
        found = load_for(GREY, source, part=part)
        np.testing.assert_array_equal(found.x, expected.x)
        np.testing.assert_array_equal(found.labels, expected.labels)
    assert found.names.tolist() == ["0", "1", "2"]


def test_a_folder_of_test_images_alone_will_do(tmp_path):
    write(tmp_path, "test/a.png", grey())
    write(tmp_path, "valid/b.png", grey(1))
    source = f"folder:{tmp_path}"
    assert load_for(GREY, source).names.tolist() == ["valid/b.png", "test/a.png"]
    assert load_for(GREY, source, part="test").names.tolist() == ["test/a.png"]
    with pytest.raises(UserError, match="has no train images, it has valid and test"):
        load_for(GREY, source, part="train")


@pytest.mark.parametrize("spec", [GREY, BINARY, COLOUR])
def test_other_sizes_are_refused_or_brought_to_that_of_the_model(spec, tmp_path):
    large = np.where(grey(0, (90, 60)) > 250, 255, 0).astype(np.uint8)
    write(tmp_path, "a.png", np.zeros((8, 6), np.uint8))
    write(tmp_path, "b.png", large)
    np.savez(tmp_path / "b.npz", x_test=large[None], x_train=large[None])
    with pytest.raises(UserError, match=r"b\.png is 60x90 pixels, the model is of 6x8: pass --resize"):
        load_for(spec, f"folder:{tmp_path}")
    with pytest.raises(UserError, match=r"has images of 60x90 pixels, the model is of 6x8: pass --resize"):
        load_for(spec, f"npz:{tmp_path / 'b.npz'}")
    found = load_for(spec, f"folder:{tmp_path}", resize=True)
    ink = 1 if spec.num_values == 2 else None
    one = large[..., None] // 255 if ink else large[..., None]
    np.testing.assert_array_equal(found.x[1, ..., :1], resize(one, (8, 6), ink))
    assert found.x.shape == (2, *spec.shape)
    np.testing.assert_array_equal(load_for(spec, f"npz:{tmp_path / 'b.npz'}", resize=True).x, found.x[[1, 1]])


def test_grey_images_are_given_to_a_model_in_colour_and_not_the_other_way_round(tmp_path, capsys):
    np.savez(tmp_path / "grey.npz", images=grey()[None])
    found = load_for(COLOUR, f"npz:{tmp_path / 'grey.npz'}")
    assert "the images are grey, and are given to a model of images in colour" in capsys.readouterr().err
    np.testing.assert_array_equal(found.x[0], np.repeat(grey()[..., None], 3, axis=-1))
    write(tmp_path / "photos", "a.png", np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8))
    with pytest.raises(UserError, match="has images in colour, the model is of grey ones: make them grey"):
        load_for(GREY, f"folder:{tmp_path / 'photos'}")


def test_grey_images_are_none_of_a_model_of_masks(tmp_path):
    write(tmp_path, "a.png", grey())
    with pytest.raises(UserError, match="has grey images, expected black and white ones: store them with two"):
        load_for(BINARY, f"folder:{tmp_path}")


def test_classes_are_the_models_by_their_names(tmp_path, capsys):
    for name in ("dog/a.png", "newt/b.png", "cat/c.png"):
        write(tmp_path, name, grey())
    spec = GREY._replace(num_classes=3, classes=("ant", "cat", "dog"))
    found = load_for(spec, f"folder:{tmp_path}")
    assert found.names.tolist() == ["cat/c.png", "dog/a.png", "newt/b.png"]
    assert found.labels.tolist() == [1, 2, -1]
    assert "1 class is none of the model's: newt" in capsys.readouterr().err


def test_a_model_of_rows_takes_no_images():
    with pytest.raises(UserError, match="is of rows of 5 numbers, not of images"):
        load_for(DataSpec((5,), 256, 0), "digits")


def test_a_folder_without_its_kind_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError, match="a folder of images is folder:photos"):
        load("photos")
