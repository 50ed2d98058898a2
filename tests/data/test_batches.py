import numpy as np
import pytest

from jaxvae.data import batch_indices, padded_batches, subset
from jaxvae.errors import UserError
from jaxvae.types import Dataset

SIZES = [(10, 5), (10, 3), (7, 7), (3, 8), (1, 4), (100, 1)]


@pytest.mark.parametrize(("num", "size"), SIZES)
def test_batch_indices_uses_every_row_once_an_epoch(num, size):
    rows = batch_indices(0, num, size, 0, 5 * num)  # 5 * size whole epochs
    assert rows.shape == (5 * num, size)
    assert rows.dtype == np.int32
    epochs = rows.reshape(-1, num)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(num), (len(epochs), 1)))


@pytest.mark.parametrize(("num", "size"), SIZES)
def test_batch_indices_is_a_function_of_the_step(num, size):
    whole = batch_indices(3, num, size, 0, 50)
    np.testing.assert_array_equal(whole, np.concatenate([batch_indices(3, num, size, step, 1) for step in range(50)]))
    np.testing.assert_array_equal(whole[17:40], batch_indices(3, num, size, 17, 23))


def test_batch_indices_shuffles_each_epoch_anew():
    epochs = batch_indices(0, 50, 50, 0, 20)
    assert len({tuple(row) for row in epochs}) == 20
    first = epochs[:, 0]
    assert len(set(first)) > 10
    other = batch_indices(1, 50, 50, 0, 20)
    assert not any((a == b).all() for a in epochs for b in other)


def test_batch_indices_starts_late_without_the_epochs_before():
    late = batch_indices(0, 1000, 7, 10**9, 3)
    np.testing.assert_array_equal(late[1:], batch_indices(0, 1000, 7, 10**9 + 1, 2))


def test_batch_indices_gives_no_steps():
    assert batch_indices(0, 10, 4, 3, 0).shape == (0, 4)
    assert batch_indices(0, 10, 5, 2, 0).shape == (0, 5)


def test_batch_indices_may_be_written_to():
    batch_indices(0, 10, 10, 0, 1)[:] = 99
    assert batch_indices(0, 10, 10, 0, 1).max() == 9


@pytest.mark.parametrize(
    "bad", [(0, 0, 1, 0, 1), (0, 1, 0, 0, 1), (-1, 1, 1, 0, 1), (0, 1, 1, -1, 1), (0, 1, 1, 0, -1)]
)
def test_batch_indices_refuses_bad_numbers(bad):
    with pytest.raises(ValueError, match="expected at least one example"):
        batch_indices(*bad)


@pytest.mark.parametrize("size", [1, 3, 5, 10, 12])
def test_padded_batches_gives_each_row_once(size):
    data = Dataset({"a": np.arange(10)[:, None], "b": np.arange(10)}, np.arange(10) + 100)
    starts, batches = zip(*padded_batches(data, size), strict=True)
    assert starts == tuple(range(0, 10, size))
    for batch in batches:
        assert batch.x["a"].shape == (size, 1)
        assert batch.labels.shape == batch.mask.shape == (size,)
        assert batch.mask.dtype == np.float32
        assert isinstance(batch.x["a"], np.ndarray)
        padding = batch.mask == 0
        assert (batch.x["b"][padding] == 0).all()
        np.testing.assert_array_equal(batch.labels, batch.x["b"] + 100)
    x, mask = (
        np.concatenate([getter(batch) for batch in batches]) for getter in (lambda b: b.x["b"], lambda b: b.mask)
    )
    np.testing.assert_array_equal(x[mask == 1], np.arange(10))


def test_padded_batches_does_without_labels():
    ((start, batch),) = padded_batches(Dataset(np.zeros((3, 2, 2, 1), np.uint8), None), 4)
    assert start == 0
    assert batch.labels is None
    assert batch.x.dtype == np.uint8
    assert batch.mask.tolist() == [1, 1, 1, 0]


def test_padded_batches_refuses_an_empty_batch():
    with pytest.raises(ValueError, match="batch_size is 0"):
        next(padded_batches(Dataset(np.zeros((3, 2)), None), 0))


def test_subset_is_nested():
    data = Dataset(np.arange(50)[:, None], np.arange(50))
    small, large, other = subset(data, 5, 0), subset(data, 20, 0), subset(data, 20, 1)
    np.testing.assert_array_equal(small.x, large.x[:5])
    np.testing.assert_array_equal(large.x[:, 0], large.labels)
    assert len(set(large.labels)) == 20
    assert set(large.labels) != set(other.labels)
    assert sorted(subset(data, 50, 0).labels) == list(range(50))
    assert subset(Dataset(data.x, None), 5, 0).labels is None


@pytest.mark.parametrize("num", [0, -1, 51])
def test_subset_refuses_other_numbers(num):
    with pytest.raises(UserError, match=f"{num} examples are asked for, expected 1 to 50"):
        subset(Dataset(np.arange(50), None), num, 0)
