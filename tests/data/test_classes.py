"""What is unusual about labels is said, and splits are by class."""

import numpy as np
import pytest

from jaxvae.data import load, subset
from jaxvae.data.parts import cut_missing, take
from jaxvae.errors import UserError
from jaxvae.types import Dataset, DataSpec


@pytest.fixture
def said(grey, capsys):
    """Loads images with labels, and returns the spec and what is said."""

    def run(**labels):
        labels = {part: np.asarray(y) for part, y in labels.items()}
        arrays = {f"x_{part}": np.resize(grey, (len(y), 6, 5)) for part, y in labels.items()}
        arrays |= {f"y_{part}": y for part, y in labels.items()}
        return arrays, capsys

    return run


def _load(save_npz, said, **labels):
    arrays, capsys = said(**labels)
    splits, spec = load(save_npz(**arrays))
    return splits, spec, capsys.readouterr().err


ALL = [0, 1, 2, 3]


def test_whole_labels_need_no_words(save_npz, said):
    assert _load(save_npz, said, train=ALL, valid=ALL, test=ALL)[1:] == (((6, 5, 1), 256, 4, ()), "")


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        ([1, 2, 3], [1, 2, 3], "labels are counted from 0, go up to 3, and 1 class has no image: 0."),
        ([0, 3, 7], [0, 3], "labels are counted from 0, go up to 7, and 5 classes have no image: 1, 2, 4 and 2 more."),
        ([0, 1], [0, 2], "1 class has no training image: 2."),
        ([5, 5], [5, 5], "all images are of one class, 5."),
    ],
)
def test_unusual_labels_are_stated(save_npz, said, train, test, words):
    _, spec, err = _load(save_npz, said, train=train, valid=train, test=test)
    assert words in err
    assert spec.num_classes == max(train + test) + 1


def test_labels_in_some_parts_alone_are_stated(save_npz, grey, capsys):
    splits, spec = load(save_npz(x_train=grey, y_train=np.arange(20) % 2, x_test=grey))
    assert spec.num_classes == 0
    assert splits.train.labels is not None
    assert "test images have no labels: the data count as without classes" in capsys.readouterr().err
    splits, _ = load(save_npz(x_train=grey, x_test=grey, y_test=np.arange(20)))
    assert splits.test.labels is None
    assert "test images have labels, training images none: they are not used" in capsys.readouterr().err


def test_images_without_a_class_have_the_label_minus_one(save_npz, said):
    labels = np.where(np.arange(60) % 3, -1, np.arange(60) // 3 % 4)
    splits, spec, err = _load(save_npz, said, train=labels)
    assert "40 images have the label -1, which stands for no class" in err
    assert spec.num_classes == 0  # what needs a class of every image refuses these data
    assert [len(part.x) for part in splits] == [56, 2, 2]
    assert splits.train.labels.min() == -1
    assert min(splits.valid.labels.min(), splits.test.labels.min()) >= 0  # where classes are compared
    splits, _, _ = _load(save_npz, said, train=np.full(20, -1))
    assert [len(part.x) for part in splits] == [16, 2, 2]


def test_too_few_images_with_a_class_cannot_be_cut(save_npz, said):
    with pytest.raises(UserError, match="has 2 training images with a class, at least 3 are needed"):
        _load(save_npz, said, train=[0, 1, -1, -1, -1])


@pytest.mark.parametrize("sizes", [(50, 50), (90, 10), (100, 30, 20), (20,) * 30, (4000, 500, 11), (10, 5, 5)])
@pytest.mark.parametrize("given", [(), ("test",), ("valid",)])
def test_every_class_gives_its_share(sizes, given):
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(sizes)), sizes))
    data = Dataset(np.arange(len(labels)), labels)
    parts = cut_missing({"train": data, **dict.fromkeys(given, data)}, "s")
    cut = [part for part in ("valid", "test") if part not in given]
    for part in cut:
        assert len(parts[part].x) == round(len(labels) / 10)
        counts = np.bincount(parts[part].labels, minlength=len(sizes))
        np.testing.assert_allclose(counts, np.array(sizes) / 10, atol=1)
    rows = np.concatenate([parts[part].x for part in ("train", *cut)])
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(labels)))
    assert (np.diff(parts["train"].x) > 0).all()
    again = cut_missing({"train": data, **dict.fromkeys(given, data)}, "s")
    np.testing.assert_array_equal(again[cut[0]].x, parts[cut[0]].x)


def test_rows_of_a_class_are_drawn_at_random():
    labels = np.repeat(np.arange(4), 100)
    valid = cut_missing({"train": Dataset(np.arange(400), labels)}, "s")["valid"]
    inside = valid.x - 100 * valid.labels
    assert len(np.unique(inside)) > 25
    assert 30 < inside.mean() < 70


def test_the_last_image_of_a_class_is_trained_on():
    labels = np.array([0] * 40 + [1] * 40 + list(range(2, 22)))
    parts = cut_missing({"train": Dataset(np.arange(100), labels)}, "s")
    assert set(parts["train"].labels) == set(range(22))


def test_images_without_labels_are_cut_as_before():
    parts = cut_missing({"train": Dataset(np.arange(30), None)}, "s")
    order = np.random.default_rng(0).permutation(30)
    np.testing.assert_array_equal(parts["valid"].x, np.sort(order[:3]))
    np.testing.assert_array_equal(parts["test"].x, np.sort(order[3:6]))


def test_names_go_with_rows():
    data = Dataset(np.arange(9), None, np.array(list("abcdefghi")))
    assert take(data, [3, 1]).names.tolist() == ["d", "b"]
    drawn = subset(data, 4, 0)
    assert [ord(name) - ord("a") for name in drawn.names] == drawn.x.tolist()
    assert subset(data._replace(x=np.arange(9) * 2), 4, 0).names is None


def test_specs_with_and_without_names_of_classes():
    assert DataSpec((1,), 2, 0) == ((1,), 2, 0, ())
    assert hash(DataSpec((1,), 2, 2, ("a", "b"))) != hash(DataSpec((1,), 2, 2))
