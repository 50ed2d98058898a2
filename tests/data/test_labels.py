"""Which classes a training sees."""

import numpy as np
import pytest

from jaxvae.data.labels import UNKNOWN, class_spec, draw_labels, known_classes, known_rows, pool, training_rows
from jaxvae.errors import UserError
from jaxvae.types import Dataset, DataSpec, GaussianParams, Splits

FOUR = np.arange(4)
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [40, 30, 20, 3])).astype(np.int32)


def splits_of(labels, others=(0, 1, 2)):
    part = lambda y: Dataset(np.arange(len(y))[:, None], np.asarray(y, np.int32))  # noqa: E731
    return Splits(part(labels), part(others), part(others))


def test_classes_have_as_many_images_each_and_small_ones_run_out():
    counts = lambda num: np.bincount(LABELS[draw_labels(LABELS, num, FOUR, 0)], minlength=4).tolist()  # noqa: E731
    assert counts(8) == [2, 2, 2, 2]
    assert sorted(counts(10)) == [2, 2, 3, 3]
    assert counts(33) == [10, 10, 10, 3]
    assert counts(93) == [40, 30, 20, 3]


def test_draws_differ_by_seed_and_larger_ones_contain_smaller_ones():
    first, same, other = (draw_labels(LABELS, 8, FOUR, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert set(first) != set(other)
    assert len(set(first)) == 8
    assert set(first) < set(draw_labels(LABELS, 12, FOUR, 0))


@pytest.mark.parametrize(
    ("num", "message"),
    [(3, "--labels is 3, fewer than the 4 classes"), (94, "--labels is 94, expected at most 93")],
)
def test_numbers_that_cannot_be_drawn_are_an_error(num, message):
    with pytest.raises(UserError, match=message):
        draw_labels(LABELS, num, FOUR, 0)


def test_a_class_without_labelled_images_is_an_error():
    with pytest.raises(UserError, match="Class 4 has no labelled training image"):
        draw_labels(LABELS, 10, np.arange(5), 0)


def test_labels_need_not_begin_at_zero_nor_follow_each_other():
    labels = 1 + 2 * LABELS
    splits = splits_of(labels, (1, 5))
    np.testing.assert_array_equal(known_classes(splits, None), [1, 3, 5, 7])
    assert class_spec(splits, DataSpec((1,), 2, 10), None).num_classes == 8
    chosen = draw_labels(labels, 8, known_classes(splits, None), 0)
    np.testing.assert_array_equal(chosen, draw_labels(LABELS, 8, FOUR, 0))


def test_marker_of_images_without_a_class():
    splits = splits_of([0, 9, 1, 9, 2])
    np.testing.assert_array_equal(known_rows(splits, 9), [0, 2, 4])
    np.testing.assert_array_equal(known_rows(splits, None), np.arange(5))
    assert class_spec(splits, DataSpec((1,), 2, 10), 9).num_classes == 3
    with pytest.raises(UserError, match="--unlabelled is 2, which is a class of the validation set"):
        known_rows(splits, 2)
    with pytest.raises(UserError, match="--unlabelled is 9, the label of all training images"):
        class_spec(splits_of([9, 9]), DataSpec((1,), 2, 10), 9)


def test_minus_one_marks_images_without_a_class():
    splits = splits_of([0, -1, 1, -1, 2])
    np.testing.assert_array_equal(known_rows(splits, -1), [0, 2, 4])
    np.testing.assert_array_equal(known_classes(splits, -1), [0, 1, 2])
    spec = class_spec(splits, DataSpec((1,), 2, 0, ("a", "b", "c", "d")), -1)
    assert spec[2:] == (3, ("a", "b", "c"))
    for marker in (None, 9):
        with pytest.raises(UserError, match="training set have the label -1, .*: expected --unlabelled -1 for these"):
            known_rows(splits, marker)
    with pytest.raises(UserError, match="test set have the label -1, .*: expected a class for each"):
        known_rows(splits._replace(test=splits_of([0, 1], (-1, 2)).test), -1)


def test_data_without_labels_are_an_error():
    splits = splits_of([0, 1, 2])
    with pytest.raises(UserError, match="Classes need labels"):
        known_rows(splits._replace(train=Dataset(splits.train.x, None)), None)


def test_pool_hides_all_classes_and_shows_those_that_are_known():
    one = pool(splits_of([0, 9, 1, 9, 2]), 9)
    assert one.num_images == 5
    np.testing.assert_array_equal(one.train.x[:, 0], [0, 1, 2, 3, 4, 0, 2, 4])
    np.testing.assert_array_equal(one.train.labels, [UNKNOWN] * 5 + [0, 1, 2])


def test_pool_of_latents_has_all_their_parts():
    splits = splits_of([0, 1, 2])
    latents = GaussianParams(splits.train.x + 1.0, splits.train.x + 2.0)
    one = pool(splits._replace(train=Dataset(latents, splits.train.labels)), None)
    assert one.num_images == 3
    np.testing.assert_array_equal(one.train.x.mean[:, 0], [1, 2, 3, 1, 2, 3])
    np.testing.assert_array_equal(one.train.x.log_var[:, 0], [2, 3, 4, 2, 3, 4])


def test_epochs_have_all_images_and_known_ones_as_often_as_it_takes():
    one = pool(splits_of(np.arange(100) % 3), None)
    rows = training_rows(one, np.array([4, 7]), 0.2)
    np.testing.assert_array_equal(np.sort(rows[:100]), np.arange(100))
    values, counts = np.unique(rows[100:], return_counts=True)
    np.testing.assert_array_equal(values, [104, 107])
    assert counts[0] == counts[1] == 12  # 24 of 124, nearest to a fifth
    assert len(training_rows(one, np.arange(100), 0.2)) == 200  # once at least
