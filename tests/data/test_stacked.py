"""Stacked images: whose channels they are, their classes, one function of a seed, what is refused."""

import numpy as np
import pytest
from PIL import Image

from jaxvae.data import load, load_for, stacked
from jaxvae.errors import UserError
from jaxvae.types import Dataset


def digits(num, first=0, num_classes=4):
    """Images whose pixels all are their number, so that a channel says which image it is."""
    numbers = np.arange(first, first + num)
    x = np.broadcast_to(numbers[:, None, None], (num, 2, 3)).astype(np.uint8)
    return Dataset(x, (numbers % num_classes).astype(np.int32))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(stacked, "LEAST", {"train": 300, "valid": 5, "test": 5})


@pytest.mark.usefixtures("small")
def test_channels_are_images_of_the_part_and_classes_are_triples():
    parts = {"train": digits(40), "valid": digits(8, 40), "test": digits(12, 48)}
    found = stacked.stack(parts, "digits")
    assert [len(found[part].x) for part in ("train", "valid", "test")] == [300, 8, 12]
    for (part, data), low, high in zip(found.items(), (0, 40, 48), (40, 48, 60), strict=True):
        numbers = data.x[:, 0, 0].astype(int)
        assert data.x.shape[1:] == (2, 3, 3), part
        assert (data.x == data.x[:, :1, :1]).all()
        assert low <= numbers.min() <= numbers.max() < high
        np.testing.assert_array_equal(data.labels, numbers % 4 @ [16, 4, 1])
    assert len(np.unique(found["train"].labels)) == 64
    np.testing.assert_array_equal(found["train"].x, stacked.stack(parts, "digits")["train"].x)
    assert (found["train"].x != stacked.stack(parts, "digits", seed=1)["train"].x).any()


@pytest.mark.usefixtures("small")
def test_a_source_is_stacked_and_read_again_for_its_model(tmp_path):
    data = digits(40)
    np.savez(tmp_path / "a.npz", images=data.x, labels=data.labels)
    source = f"stacked:npz:{tmp_path / 'a.npz'}"
    splits, spec = load(source)
    assert spec[:3] == ((2, 3, 3), 256, 64)
    assert len(splits.train.x) == 300
    again = load_for(spec, source, part="test")
    np.testing.assert_array_equal(again.x, splits.test.x)
    np.testing.assert_array_equal(again.labels, splits.test.labels)


@pytest.mark.usefixtures("small")
def test_grey_files_of_class_folders_stay_grey_for_a_model_in_colour(tmp_path):
    data = digits(40)
    for i, (image, label) in enumerate(zip(data.x, data.labels, strict=True)):
        (tmp_path / f"class{label}").mkdir(exist_ok=True)
        Image.fromarray(image + np.arange(3, dtype=np.uint8)[None]).save(tmp_path / f"class{label}" / f"{i}.png")
    splits, spec = load(f"stacked:folder:{tmp_path}")
    assert spec[:3] == ((2, 3, 3), 256, 64)
    np.testing.assert_array_equal(load_for(spec, f"stacked:folder:{tmp_path}", part="train").x, splits.train.x)


@pytest.mark.usefixtures("small")
def test_images_without_a_class_are_left_out():
    data = digits(40)
    labels = np.where(np.arange(40) % 2, data.labels, -1).astype(np.int32)
    found = stacked.stack({"train": Dataset(data.x, labels)}, "digits")
    assert set(np.unique(found["train"].x % 2)) == {1}


def test_what_cannot_be_stacked_is_one_sentence(tmp_path):
    data = digits(40)
    with pytest.raises(UserError, match="a: training images have no labels, of which the classes of stacks are made"):
        stacked.stack({"train": Dataset(data.x, None)}, "a")
    colour = np.repeat(data.x[..., None], 3, axis=-1)
    with pytest.raises(UserError, match="a: training images are in colour, expected grey ones"):
        stacked.stack({"train": Dataset(colour, data.labels)}, "a")
    for source in ("stacked", "stacked:", "stacked:mnist", "stacked:stacked:digits"):
        with pytest.raises(UserError, match="The data source is '.*', expected digits, idx:FOLDER"):
            load(source)
