import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxvae.data import load
from jaxvae.errors import UserError


@pytest.mark.parametrize("source", ["mnist", "mnist:a", "", ":", "idx", "idx:", "digits:3", "digits:", "tfds", "IDX:a"])
def test_load_lists_the_sources(source):
    with pytest.raises(
        UserError, match=f"The data source is '{source}', expected digits, idx:FOLDER, npz:FILE"
    ) as error:
        load(source)
    for kind in ("digits", "idx", "npz", "folder", "tfds", "binarized_mnist"):
        assert kind in str(error.value)


def test_load_refuses_an_empty_image_size(save_npz, grey):
    with pytest.raises(UserError, match="image size is 0, expected at least 1 and at most 4096 pixels"):
        load(save_npz(images=grey), image_size=0)


def test_load_resizes_any_source(save_npz, grey):
    splits, spec = load(save_npz(images=grey), image_size=6)
    assert spec[:3] == ((6, 6, 1), 256, 0)
    assert splits.train.x.shape == (16, 6, 6, 1)
    assert splits.train.x.dtype == np.uint8
    whole, _ = load(save_npz(images=grey))
    np.testing.assert_array_equal(splits.train.x[:, :, :5], whole.train.x)  # 6 x 5: a column is added


@pytest.mark.parametrize("kind", ["folder", "npz", "idx", "binarized_mnist"])
@pytest.mark.parametrize(
    "place",
    ["~nobody-of-this-name", "~nobody-of-this-name/a", "a\0b", "n" * 5000, "d/" * 3000, "\udcff\ud800", " ", "."],
)
def test_load_refuses_what_is_no_path_in_one_sentence(tmp_path, monkeypatch, kind, place):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        load(f"{kind}:{place}")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


def test_load_refuses_sources_of_thousands_of_signs():
    with pytest.raises(UserError, match="expected digits, idx:FOLDER") as error:
        load("x" * 10_000)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "images are of type object"),
        (3, r"images have shape \[\]"),
        ([[1], [1, 2]], "The images are no array"),
        ({"a": 1}, "images are of type object"),
        ("text", "The data source is 'text'"),
        (Path("folder"), "The data source is the path folder, expected the kind before it: digits, idx:FOLDER"),
        (np.array("text"), "images are of type <U4"),
        (np.array([b"x"]), "images are of type"),
        (np.zeros((5, 4, 4), "M8[s]"), "images are of type datetime"),
    ],
)
def test_load_refuses_what_is_no_source_in_one_sentence(source, message):
    with pytest.raises(UserError, match=message) as error:
        load(source)
    assert "\n" not in str(error.value)


def test_load_refuses_labels_of_a_source_that_has_its_own(save_npz, grey):
    with pytest.raises(UserError, match="has its own labels: give labels with an array of images"):
        load(save_npz(images=grey), np.arange(20))
    with pytest.raises(UserError, match="The labels are no array"):
        load(grey, [[1], [2, 3]])
    assert load(grey, [0, 1] * 10)[1].num_classes == 2


def test_load_is_deterministic(save_npz, grey):
    first, again = (load(save_npz(images=grey, labels=np.arange(20)))[0] for _ in range(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.labels, b.labels)


def test_import_needs_only_the_core():
    code = """
import sys
sys.modules.update(dict.fromkeys(("PIL", "mlxtend", "tensorflow_datasets", "tensorflow", "tqdm")))
import jaxvae.data
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
