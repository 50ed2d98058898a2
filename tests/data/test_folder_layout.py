"""Which sub-folders are parts and which are classes, and what is said of the rest."""

import os

import numpy as np
import pytest
from PIL import Image

from jaxvae.data import load
from jaxvae.errors import UserError


@pytest.fixture
def fill(tmp_path, rng):
    """Writes some different images into sub-folders."""

    def write(*folders, num=10, root=tmp_path):
        for folder in folders:
            (root / folder).mkdir(parents=True, exist_ok=True)
            for i in range(num):
                Image.fromarray(rng.integers(0, 256, (4, 4)).astype(np.uint8)).save(root / folder / f"{i}.png")
        return f"folder:{tmp_path}"

    return write


@pytest.mark.parametrize("names", [("train", "bus", "car"), ("test", "bus"), ("Train", "bus", "test")])
def test_a_class_called_as_a_part_is_refused(fill, names):
    with pytest.raises(UserError, match=r"has the folders bus.* beside .*: if these are classes, rename [tT]"):
        load(fill(*names))


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING", "training"])
@pytest.mark.parametrize("test", ["test", "Test", "testing"])
@pytest.mark.parametrize("valid", ["val", "Valid", "validation", "dev", None])
@pytest.mark.parametrize("around", ["", "set/", "set/images/"])
def test_parts_have_many_names_and_may_lie_deeper(fill, train, test, valid, around):
    parts = {train: 10, test: 3} | ({valid: 4} if valid else {})
    for part, num in parts.items():
        source = fill(*(f"{around}{part}/{name}" for name in "abc"), num=num)
    splits, spec = load(source)
    assert spec.num_classes == 3
    assert spec.classes == ("a", "b", "c")
    assert [len(part.x) for part in splits] == [30, 12, 9] if valid else [27, 3, 9]
    assert {name.split("/")[-3] for name in splits.test.names} == {test}


def test_two_folders_for_one_part_are_refused(fill):
    with pytest.raises(UserError, match="has two folders for validation images, val and valid: keep one"):
        load(fill("train", "val", "valid"))


@pytest.mark.parametrize("names", [("test",), ("test", "val")])
def test_parts_need_train(fill, names):
    with pytest.raises(UserError, match="has images in .*test and none in train"):
        load(fill(*names))


def test_parts_inside_of_classes_are_refused(fill):
    with pytest.raises(UserError, match="has folders called test, train inside of others: put these outside"):
        load(fill("cat/train", "cat/test", "dog/train", "dog/test"))


def test_parts_without_images_are_refused(fill, tmp_path):
    source = fill("train", "test")
    (tmp_path / "val").mkdir()
    with pytest.raises(UserError, match="val has no PNG, .* fill it with images, or remove it"):
        load(source)


def test_what_lies_beside_parts_and_classes_is_named(fill, tmp_path, capsys):
    source = fill("train", "test", ".")
    (tmp_path / "notes").mkdir()
    splits, _ = load(source)
    assert [len(part.x) for part in splits] == [9, 1, 10]
    said = capsys.readouterr().err
    assert "note: 10 images lie beside train and test, and are left out: 0.png, 1.png, 2.png and 7 more." in said
    assert "note: 1 sub-folder has no images: notes." in said


def test_a_folder_around_all_is_named(fill, capsys):
    assert load(fill("set/a", "set/b"))[1].classes == ("a", "b")
    assert "note: all images lie in set, whose sub-folders are taken for parts or classes." in capsys.readouterr().err


def test_one_class_is_named(fill, capsys):
    assert load(fill("cat"))[1].classes == ("cat",)
    assert "all images are of one class, cat." in capsys.readouterr().err


def test_labels_without_training_labels_are_named(fill, capsys):
    splits, spec = load(fill("train", "test/a", "test/b"))
    assert spec[2:] == (0, ())
    assert splits.test.labels is None
    assert "test images have labels, training images none: they are not used" in capsys.readouterr().err


def test_classes_without_training_images_are_named(fill, capsys):
    assert load(fill("train/ant", "train/bee", "test/ant", "test/cat"))[1].classes == ("ant", "bee", "cat")
    assert "1 class has no training image: cat." in capsys.readouterr().err


def test_names_follow_their_images(fill, tmp_path):
    splits, spec = load(fill("ant", "bee"))
    for part in splits:
        assert len(part.names) == len(part.x)
        for x, label, name in zip(part.x, part.labels, part.names, strict=True):
            np.testing.assert_array_equal(x[..., 0], np.asarray(Image.open(tmp_path / name)))
            assert spec.classes[label] == name.split("/")[0]


def test_names_survive_the_size(fill, tmp_path):
    plain, resized = (load(fill("ant"), image_size=size)[0] for size in (None, 8))
    assert resized.test.names.tolist() == plain.test.names.tolist()


def test_parts_have_their_share_of_each_class(fill):
    source = fill("ant", num=60)
    fill("bee", num=20)
    fill("cat", num=1)
    splits, _ = load(source)
    assert np.bincount(splits.train.labels).tolist() == [48, 16, 1]
    for part in splits[1:]:
        assert np.bincount(part.labels, minlength=3).tolist() == [6, 2, 0]


def test_links_are_followed(fill, tmp_path, rng):
    fill("elsewhere/ant", "elsewhere/bee")
    (tmp_path / "set").mkdir()
    for name in ("ant", "bee"):
        (tmp_path / "set" / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "elsewhere" / "ant" / "above").symlink_to(tmp_path / "elsewhere" / "ant")  # never ends
    splits, spec = load(f"folder:{tmp_path / 'set'}")
    assert spec.classes == ("ant", "bee")
    assert sum(len(part.x) for part in splits) == 20
    (tmp_path / "set" / "ant" / "lost.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"lost.png cannot be read \(No such file"):
        load(f"folder:{tmp_path / 'set'}")


def test_unreadable_folders_and_files_are_named(fill, tmp_path, monkeypatch):
    source, scandir, stat = fill("ant", "bee"), os.scandir, os.stat

    def refusing(function, end):
        def refuse(path, *args, **kwargs):
            if str(path).endswith(end):
                raise PermissionError(13, "Permission denied")
            return function(path, *args, **kwargs)

        return refuse

    for name, function, end in (("scandir", scandir, "bee"), ("stat", stat, "ant/3.png")):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, refusing(function, end))
            with pytest.raises(UserError, match=rf"{end} cannot be read \(Permission denied\)"):
                load(source)
