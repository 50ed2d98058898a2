"""What models of a protocol learn from, and which test images are anomalies."""

import numpy as np
import pytest

from jaxvae.errors import UserError
from jaxvae.evaluation.protocols import flips, one_class, other_data, replaced_rows, with_validation
from jaxvae.types import Dataset, DataSpec, Splits

LABELS = np.random.default_rng(0).integers(0, 3, 200)
SPEC = DataSpec((4, 4, 1), 256, 3)


def parts(labels=LABELS, num_valid=60):
    x = np.random.default_rng(1).integers(0, 256, (len(LABELS), 4, 4, 1), np.uint8)
    some = lambda rows: Dataset(x[rows], None if labels is None else labels[rows])  # noqa: E731
    return Splits(some(slice(0, 100)), some(slice(100, 100 + num_valid)), some(slice(160, 200)))


def test_every_class_has_a_model_for_every_seed_and_all_others_are_strange():
    splits = parts()
    found = one_class(splits, SPEC._replace(classes=("cat", "dog", "owl")), (3, 5))
    assert [one.name for one in found.models[:2]] == ["label=0_share=0_seed=3", "label=1_share=0_seed=3"]
    assert [(one.seed, one.questions[0].case) for one in found.models[3:5]] == [(5, "cat"), (5, "dog")]
    one = found.models[1]
    assert (splits.train.labels[one.rows] == 1).all()
    assert len(one.rows) == (splits.train.labels == 1).sum()
    assert (splits.valid.labels[one.valid_rows] == 1).all()
    assert (one.questions[0].normal, one.questions[0].strange) == (1, (0, 2))
    np.testing.assert_array_equal(found.groups, splits.test.labels)
    assert found.test.labels is None


@pytest.mark.parametrize("share", [0.1, 0.25])
def test_a_share_of_a_class_is_replaced_by_others(share):
    rows, num = replaced_rows(LABELS, 2, share, seed=4), (LABELS == 2).sum()
    assert len(rows) == len(set(rows.tolist())) == num
    assert (LABELS[rows] != 2).sum() == round(share * num)
    assert not np.array_equal(rows, replaced_rows(LABELS, 2, share, seed=5))


def test_images_without_a_class_replace_none_and_more_contamination_has_those_of_less():
    labels = np.where(np.arange(200) < 100, LABELS, -1)
    foreign = lambda share: {row for row in replaced_rows(labels, 0, share, 1).tolist() if labels[row] != 0}  # noqa: E731
    assert all(labels[row] > 0 for row in foreign(0.5))
    assert foreign(0.1) < foreign(0.3)
    assert foreign(0.0) == set()


def test_shares_are_variants_whose_validation_images_are_contaminated_too():
    splits = parts()
    found = one_class(splits, SPEC, (0,), (0.0, 0.2))
    assert [one.questions[0].variant for one in found.models] == ["0 %"] * 3 + ["20 %"] * 3
    assert [one.share for one in found.models] == [0.0] * 3 + [0.2] * 3
    last = found.models[-1]
    assert (splits.train.labels[last.rows] != 2).any()
    assert (splits.valid.labels[last.valid_rows] != 2).any()


def test_flips_are_of_the_test_images():
    splits = parts(None)
    found, x = flips(splits, (0, 1)), splits.test.x
    assert [one.name for one in found.models] == ["seed=0", "seed=1"]
    for question, flipped in zip(found.models[0].questions, (x[:, :, ::-1], x[:, ::-1]), strict=True):
        np.testing.assert_array_equal(found.test.x[found.groups == question.normal], x)
        np.testing.assert_array_equal(found.test.x[np.isin(found.groups, question.strange)], flipped)


def test_other_data_are_of_one_type():
    splits, floats = parts(None), np.full((7, 4, 4, 1), 0.5 / 255, np.float32)
    found = other_data(splits, Dataset(floats, None), "halves", (0,))
    (question,) = found.models[0].questions
    assert question.variant == "halves"
    np.testing.assert_array_equal(found.test.x[found.groups == 1], floats)
    np.testing.assert_allclose(found.test.x[found.groups == question.normal], splits.test.x / np.float32(255))


def test_few_validation_images_become_a_tenth():
    splits = parts(num_valid=2)
    found = with_validation(splits, "squares")
    assert [len(part.x) for part in found] == [92, 10, 40]
    assert len(np.unique(found.valid.labels)) == 3
    assert with_validation(parts(), "squares").train.x.shape == (100, 4, 4, 1)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "needs labels, which these data do not have: choose another --data, or --protocol other_data"),
        (np.zeros(200, int), "needs two classes, these data have 1"),
        (np.where(np.arange(200) < 160, LABELS, 1), "Class 0 has no image in the test part"),
    ],
)
def test_data_without_classes_are_refused(labels, message):
    with pytest.raises(UserError, match=message):
        one_class(parts(labels), SPEC, (0,))
