"""Attributes of images from a file of a person's, and by classes."""

import numpy as np
import pytest

from jaxvae.data.attributes import attribute_of_class, read_attribute
from jaxvae.errors import UserError
from jaxvae.types import Dataset

IMAGES = ("b.png", "sub/a.png")


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("1", "-1"), ("True", "false"), (" yes ", "NO")])
def test_lines_belong_to_images_by_their_paths(tmp_path, yes, no):
    text = f"path,old,smiling\nsub/a.png,7,{yes}\nother.png,7,{yes}\nb.png,7,{no}\n"
    found = read_attribute(write(tmp_path / "a.csv", text), "smiling", IMAGES)
    assert found.tolist() == [False, True]
    assert found.dtype == bool


def test_a_file_of_a_spreadsheet_is_read(tmp_path):
    text = '\ufeffpath,"smiling, a bit"\r\n"b.png",1\r\n\r\nsub/a.png,0\r\n'
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert read_attribute(tmp_path / "a.csv", "smiling, a bit", IMAGES).tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,old\nb.png,1\n", "has no attribute smiling: it has old"),
        ("path\nb.png\n", "has no attribute smiling: it has none"),
        ("smiling,old\nb.png,1\n", "has no attribute smiling: it has old"),
        ("path,smiling\nx/b.png,1\n", "does not name 2 of the 2 images, b.png, sub/a.png: .* names is x/b.png"),
        ("path,smiling\n", "does not name 2 of the 2 images.* names is nothing"),
        ("path,smiling\nb.png,1\nsub/a.png,2\n", "has 2 for smiling in line 3: expected 1 or 0"),
        ("path,smiling\nb.png\n", "has nothing for smiling in line 2"),
        ("", "is empty: expected a line of column names"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as error:
        read_attribute(write(tmp_path / "a.csv", text), "smiling", IMAGES)
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read .*No such file"):
        read_attribute(tmp_path / "a.csv", "smiling", IMAGES)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read .*expected a CSV file of attributes"):
        read_attribute(tmp_path / "b.csv", "smiling", IMAGES)


def test_classes_go_by_name_or_number():
    dataset = Dataset(None, np.array([0, 2, 1, 2]))
    assert attribute_of_class(dataset, "right", ("left", "middle", "right")).tolist() == [False, True, False, True]
    assert attribute_of_class(dataset, "1", ()).tolist() == [False, False, True, False]
    with pytest.raises(UserError, match="There is no class cat: expected one of left, middle, right"):
        attribute_of_class(dataset, "cat", ("left", "middle", "right"))
    with pytest.raises(UserError, match="There is no class cat: expected one of 0, 1, 2"):
        attribute_of_class(dataset, "cat", ())
    with pytest.raises(UserError, match="The images have no classes: expected --attributes, a CSV file"):
        attribute_of_class(Dataset(None, None), "left", ())
