"""A hash of data: equal for equal data, however they are held, and another for any other."""

import numpy as np
import pytest

from jaxvae.data import digest
from jaxvae.data.digest import dataset_digest, splits_digest
from jaxvae.types import Dataset, GaussianParams, Splits

X = np.random.default_rng(0).integers(0, 256, (50, 6, 5, 1), np.uint8)
LABELS = np.arange(50, dtype=np.int32) % 3


def test_the_same_data_have_the_same_hash(tmp_path):
    expected = dataset_digest(Dataset(X, LABELS))
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert dataset_digest(Dataset(mapped, LABELS)) == expected
    assert dataset_digest(Dataset(np.asfortranarray(X), LABELS.copy())) == expected
    assert dataset_digest(Dataset(np.concatenate([X, X]), np.tile(LABELS, 2)), np.arange(50)) == expected
    rows = np.array([3, 1, 1])
    assert dataset_digest(Dataset(X, LABELS), rows) == dataset_digest(Dataset(X[rows], LABELS[rows]))


def changed(place, value):
    x = X.copy()
    x[place] = value
    return x


@pytest.mark.parametrize("other", [
    Dataset(changed((49, 5, 4, 0), X[49, 5, 4, 0] ^ 1), LABELS),
    Dataset(X[::-1], LABELS),
    Dataset(X[:49], LABELS[:49]),
    Dataset(X.reshape(50, 5, 6, 1), LABELS),
    Dataset(X.astype(np.int32), LABELS),
    Dataset(X, None),
    Dataset(X, LABELS[::-1]),
])  # fmt: skip
def test_any_other_data_have_another(other):
    assert dataset_digest(other) != dataset_digest(Dataset(X, LABELS))


def test_of_much_data_some_rows_stand_for_all(monkeypatch):
    monkeypatch.setattr(digest, "MOST_BYTES", 10 * 30)
    found = dataset_digest(Dataset(X, None))
    assert found != dataset_digest(Dataset(X[::-1], None))
    assert found != dataset_digest(Dataset(X[:49], None))
    assert found == dataset_digest(Dataset(np.concatenate([X, X]), None), np.arange(50))
    assert dataset_digest(Dataset(X, None), np.arange(49, -1, -1)) == dataset_digest(Dataset(X[::-1], None))
    assert dataset_digest(Dataset(X[:10], None)) != dataset_digest(Dataset(X[1:11], None))


def test_latents_are_known_again_on_another_device():
    """Of q(z | x), which was computed, to the rounding of other devices."""
    mean = np.random.default_rng(1).standard_normal((50, 4), np.float32) + np.float32(0.123)
    latents = GaussianParams(mean, mean * 0)
    assert dataset_digest(Dataset(latents, LABELS)) == dataset_digest(
        Dataset(latents._replace(mean=mean * np.float32(1 + 1e-6)), LABELS)
    )
    assert dataset_digest(Dataset(latents, LABELS)) != dataset_digest(Dataset(latents._replace(mean=mean + 1), LABELS))


def test_both_parts_that_a_training_sees_are_meant():
    part = lambda rows: Dataset(X[rows], None)  # noqa: E731
    splits = Splits(part(slice(0, 30)), part(slice(30, 40)), part(slice(40, 50)))
    assert splits_digest(splits) == splits_digest(splits._replace(test=splits.valid))
    assert splits_digest(splits) != splits_digest(splits._replace(valid=splits.test))
    assert splits_digest(splits) != splits_digest(splits, rows=np.arange(29))
    assert splits_digest(splits) == splits_digest(splits, np.arange(30), np.arange(10))
