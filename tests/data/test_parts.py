import numpy as np
import pytest

from jaxvae.data.parts import cut_missing, finish
from jaxvae.errors import UserError
from jaxvae.types import Dataset, DataSpec


def _all_parts(x, labels=None):
    return {part: Dataset(x, labels) for part in ("train", "valid", "test")}


@pytest.mark.parametrize(
    ("x", "dtype", "num_values", "values"),
    [
        (np.array([[[0, 7], [255, 1]]], np.uint8), np.uint8, 256, [0, 7, 255, 1]),
        (np.array([[[0, 7], [255, 1]]], np.int64), np.uint8, 256, [0, 7, 255, 1]),
        (np.array([[[False, True], [True, True]]]), np.uint8, 2, [0, 1, 1, 1]),
        (np.array([[[0, 1], [1, 1]]], np.int32), np.uint8, 2, [0, 1, 1, 1]),
        (np.array([[[0, 255], [255, 255]]], np.uint8), np.uint8, 2, [0, 1, 1, 1]),
        (np.array([[[0.0, 1.0], [1.0, 1.0]]]), np.uint8, 2, [0, 1, 1, 1]),
        (np.array([[[0.0, 7.0], [255.0, 1.0]]]) / 255, np.uint8, 256, [0, 7, 255, 1]),
        (np.array([[[0.0, 7.0], [255.0, 1.0]]], np.float32) * np.float32(1 / 255), np.uint8, 256, [0, 7, 255, 1]),
        (np.array([[[0.0, 0.3], [1.0, 0.25]]]), np.float32, 256, [0, 0.3, 1, 0.25]),
    ],
)
def test_finish_settles_dtype_and_values(x, dtype, num_values, values):
    splits, spec = finish(_all_parts(x), "s")
    assert spec == DataSpec((2, 2, 1), num_values, 0)
    for part in splits:
        assert part.x.dtype == dtype
        np.testing.assert_allclose(part.x.ravel(), values, rtol=1e-6)


def test_finish_decides_for_all_parts_together():
    binary, grey = np.zeros((2, 2, 2), np.uint8), np.tile(np.array([[8, 9]], np.uint8), (2, 2, 1))
    odd = np.full((2, 2, 2), 0.3)
    splits, spec = finish(
        {"train": Dataset(binary, None), "valid": Dataset(binary, None), "test": Dataset(grey, None)}, "s"
    )
    assert spec.num_values == 256
    assert splits.test.x.max() == 9
    splits, _ = finish({"train": Dataset(grey, None), "valid": Dataset(binary, None), "test": Dataset(odd, None)}, "s")
    assert {part.x.dtype for part in splits} == {np.dtype(np.float32)}
    np.testing.assert_allclose(splits.train.x[..., 1, :], 9 / 255, rtol=1e-6)


def test_finish_looks_at_all_images_before_it_calls_them_binary():
    x = np.zeros((40, 2, 2), np.uint8)
    x[:, 0] = 255
    assert finish(_all_parts(x), "s")[1].num_values == 2
    x[39, 1, 1] = 100
    assert finish(_all_parts(x), "s")[1].num_values == 256


def test_finish_knows_no_classes_where_a_part_has_no_labels():
    parts = _all_parts(np.zeros((2, 2, 2), np.uint8), np.array([0, 1]))
    splits, spec = finish({**parts, "test": Dataset(parts["test"].x, None)}, "s")
    assert spec.num_classes == 0
    np.testing.assert_array_equal(splits.train.labels, [0, 1])


def test_finish_counts_the_classes_of_all_parts():
    x = np.zeros((2, 2, 2), np.uint8)
    parts = {"train": Dataset(x, [0, 1]), "valid": Dataset(x, [1, 1]), "test": Dataset(x, [[3], [2]])}
    splits, spec = finish(parts, "s")
    assert spec.num_classes == 4
    assert splits.train.labels.dtype == np.int32
    assert splits.test.labels.tolist() == [3, 2]
    _, spec = finish({**parts, "train": Dataset(x, None)}, "s")
    assert spec.num_classes == 0


@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        (np.zeros((3, 4), np.uint8), None, r"shape \[3, 4\], expected \[N, H, W\] or"),
        (np.zeros((3, 3, 32, 32), np.uint8), None, "32 channels.*channels come last"),
        (np.zeros((3, 8, 8, 4), np.uint8), None, "4 channels, expected 1 or 3"),
        (np.zeros((0, 4, 4), np.uint8), None, "expected at least one image"),
        (np.full((3, 4, 4), -1), None, "integers from -1 to -1, expected 0 to 255"),
        (np.full((3, 4, 4), 256), None, "integers from 256 to 256, expected 0 to 255"),
        (np.full((3, 4, 4), 1.5), None, "floats from 1.5 to 1.5, expected 0 to 1"),
        (np.full((3, 4, 4), -0.5), None, "floats from -0.5 to -0.5, expected 0 to 1"),
        (np.where(np.eye(4)[None] > 0, np.nan, 0.0), None, "NaN or infinite"),
        (np.where(np.eye(4)[None] > 0, np.inf, 0.0), None, "NaN or infinite"),
        (np.full((3, 4, 4), "a"), None, "type <U1, expected"),
        (np.zeros((3, 4, 4), complex), None, "type complex128, expected"),
        (np.zeros((3, 4, 4), np.uint8), [0, 1], "3 images and 2 labels"),
        (np.zeros((3, 4, 4), np.uint8), [0.0, 1.0, 2.0], "labels are float64 .* expected one integer an image"),
        (np.zeros((3, 4, 4), np.uint8), np.eye(3, dtype=int), r"shape \[3, 3\], expected one integer"),
        (np.zeros((3, 4, 4), np.uint8), [0, -2, 2], "labels go from -2 to 2, expected class numbers from 0 to 999999"),
        (np.zeros((3, 4, 4), np.uint8), [0, 1, 10**9], "labels go from 0 to 1000000000"),
        (np.zeros((3, 1, 8193), np.uint8), None, "images: 8193x1 pixels, expected at most 8192 on either side"),
        (np.full((3, 4, 4), 1.00001), None, "floats from 1.00001 to 1.00001, expected 0 to 1"),
    ],
)
def test_finish_refuses_bad_arrays_in_one_sentence(x, labels, message):
    good = Dataset(np.zeros((3, 4, 4), np.uint8), None)
    with pytest.raises(UserError, match=message) as error:
        finish({"train": good, "valid": Dataset(x, labels), "test": good}, "npz:f")
    assert str(error.value).startswith("npz:f: validation ")
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def test_finish_refuses_parts_of_two_shapes():
    parts = _all_parts(np.zeros((3, 4, 4), np.uint8)) | {"test": Dataset(np.zeros((3, 5, 4), np.uint8), None)}
    with pytest.raises(UserError, match=r"test images have shape \[5, 4, 1\] and training images \[4, 4, 1\]"):
        finish(parts, "s")


def test_cut_missing_gives_every_image_to_one_part():
    data = Dataset(np.arange(100)[:, None, None], np.arange(100))
    parts = cut_missing({"train": data}, "s")
    assert [len(parts[part].x) for part in ("train", "valid", "test")] == [80, 10, 10]
    assert sorted(np.concatenate([part.x.ravel() for part in parts.values()])) == list(range(100))
    for part in parts.values():
        np.testing.assert_array_equal(part.x.ravel(), part.labels)
    assert parts["test"].labels.max() - parts["test"].labels.min() > 20  # drawn, not the end of the file
    again = cut_missing({"train": data}, "s")
    np.testing.assert_array_equal(parts["valid"].labels, again["valid"].labels)


def test_cut_missing_keeps_the_parts_there_are():
    data, test = Dataset(np.zeros((40, 2, 2)), None), Dataset(np.ones((7, 2, 2)), None)
    parts = cut_missing({"train": data, "test": test}, "s")
    assert [len(parts[part].x) for part in ("train", "valid", "test")] == [36, 4, 7]
    assert parts["test"] is test


@pytest.mark.parametrize("num", [3, 4, 5, 15])
def test_cut_missing_leaves_no_part_empty(num):
    parts = cut_missing({"train": Dataset(np.zeros((num, 2, 2)), None)}, "s")
    assert min(len(part.x) for part in parts.values()) >= 1
    assert sum(len(part.x) for part in parts.values()) == num


@pytest.mark.parametrize("num", [1, 2])
def test_cut_missing_refuses_too_few_images(num):
    with pytest.raises(UserError, match=f"{num} training image.*at least 3"):
        cut_missing({"train": Dataset(np.zeros((num, 2, 2)), None)}, "s")
