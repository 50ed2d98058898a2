"""What a verb writes: refused in time, whole or not at all, with the names of its sources."""

import json
import resource

import numpy as np
import pytest

from jaxvae.commands.output import SHEET, check_place, image_names, writing
from jaxvae.data.files import MARK, find_files
from jaxvae.errors import UserError


def checked(place, *, overwrite=False, folder=True, endings=(".png",), own=()):
    return check_place(place, overwrite=overwrite, endings=endings, folder=folder, own=own)


def test_names_are_those_of_the_sources():
    assert image_names(["A.jpg", "cats/b.PNG", "07", "scan.001"]) == ["A.png", "cats/b.png", "07.png", "scan.001.png"]


def test_names_that_would_be_the_same_keep_their_endings():
    assert image_names(["a.jpg", "a.png", "b/a.png"]) == ["a.jpg.png", "a.png.png", "b/a.png"]
    assert image_names(["A.jpg", "a.png"]) == ["A.jpg.png", "a.png.png"]  # the same where letters have no case
    assert image_names(["a.jpg", "a.jpg"]) == ["a.jpg.png", "a.jpg-2.png"]
    assert image_names(["sheet.jpg"]) == ["sheet.jpg.png"]  # that of the contact sheet
    assert len(set(image_names(["a", "a.png", "a.png.png"]))) == 3


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "a/../../b", "", "a\0b", "a\\b"])
def test_names_that_lead_out_of_the_folder_are_refused(name):
    with pytest.raises(UserError, match="is no path in a folder"):
        image_names([name])


def test_a_place_is_refused_before_anything_is_computed(tmp_path):
    (tmp_path / "there.png").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    (tmp_path / "empty").mkdir()
    for name in ("there.png", "full"):
        with pytest.raises(UserError, match="already: choose another place, or pass --overwrite"):
            checked(tmp_path / name)
    assert checked(tmp_path / "empty") == tmp_path / "empty"
    assert checked(tmp_path / "there.png", overwrite=True) == tmp_path / "there.png"
    with pytest.raises(UserError, match="expected a folder or NAME.png"):
        checked(tmp_path / "a.jpg")
    with pytest.raises(UserError, match="expected NAME.png"):
        checked(tmp_path / "a", folder=False)
    with pytest.raises(UserError, match="is no folder that can"):
        checked(tmp_path / "there.png" / "a")
    (tmp_path / "d.png").mkdir()
    with pytest.raises(UserError, match="is a folder, expected a file"):
        checked(tmp_path / "d.png")


def test_only_what_a_command_wrote_is_replaced(tmp_path):
    place = tmp_path / "out"
    with writing(place) as path:
        (path / "a.png").write_text("old")
    assert json.loads((place / MARK).read_text())["files"] == ["a.png"]
    (place / "notes.txt").touch()
    with pytest.raises(UserError, match="has files that no command wrote there, as notes.txt"):
        checked(place, overwrite=True)
    (place / "notes.txt").unlink()
    with writing(checked(place, overwrite=True)) as path:
        (path / "b.png").write_text("new")
    assert sorted(one.name for one in place.iterdir()) == [MARK, "b.png"]
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "card.md").touch()
    with pytest.raises(UserError, match=r"as card\.md"):
        checked(tmp_path / "model", overwrite=True)
    assert checked(tmp_path / "model", overwrite=True, own={"card.md"})


@pytest.mark.parametrize("name", ["a.npz", "new/a.csv", "folder", "new/folder"])
def test_what_is_not_finished_leaves_nothing(name, tmp_path):
    def write(error):
        with writing(tmp_path / name) as path:
            (path / "a" if path.is_dir() else path).write_text("half")
            raise error

    for error in (KeyboardInterrupt(), ValueError()):
        with pytest.raises(type(error)):
            write(error)
        assert list(tmp_path.iterdir()) == []
    with writing(tmp_path / name) as path:
        (path / "a" if path.is_dir() else path).write_text("whole")
    assert (tmp_path / name).exists()
    assert not [one for one in tmp_path.rglob("*.tmp*")]


def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(tmp_path):
    place = tmp_path / "out"
    with writing(place) as path:
        (path / "a.png").write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(UserError, match="out cannot be written .*: make room"), writing(place) as path:
            np.save(path / "large.npy", np.zeros(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(one.name for one in place.iterdir()) == [MARK, "a.png"]
    assert list(tmp_path.iterdir()) == [place]


def test_what_stands_beside_images_is_none_of_them_when_they_are_read_again(tmp_path):
    place = tmp_path / "out"
    png = b"\x89PNG\r\n\x1a\n"
    with writing(place) as path:
        (path / "cats").mkdir()
        for name in ("cats/a.png", "cats/sheet.png", SHEET):
            (path / name).write_bytes(png)
        (path / "labels.csv").touch()
    (place / "note.txt").touch()  # of somebody else's
    found = find_files(tmp_path)
    assert [path.relative_to(place).as_posix() for path in found.images] == ["cats/a.png", "cats/sheet.png"]
    assert found.others == [place / "note.txt"]
    (place / MARK).write_text("damaged")
    assert place / SHEET in find_files(tmp_path).images
