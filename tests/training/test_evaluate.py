"""Batch sizes in which examples are evaluated."""

import numpy as np
import pytest

from jaxvae.training import evaluation_batch_size, in_batches, program_batch_size
from jaxvae.types import Dataset, DataSpec


@pytest.mark.parametrize(("num", "size"), [(1, 1), (2, 4), (4, 4), (9, 16), (64, 64), (65, 100), (10_000, 100)])
def test_any_number_of_examples_is_one_of_few_programs(num, size):
    assert program_batch_size(num, 100) == size


def test_large_images_are_evaluated_one_by_one():
    assert evaluation_batch_size(DataSpec((512, 512, 3), 256, 0)) == 1
    assert program_batch_size(7, 1) == 1


def test_batches_are_shown_where_they_have_a_name(monkeypatch):
    shown = []
    monkeypatch.setattr("jaxvae.training.evaluate.progress", lambda items, *rest: shown.append(rest) or items)
    dataset = Dataset(np.arange(7), None)
    for name in ("", "encoding"):
        found = in_batches(lambda start, batch: batch.x, dataset, 3, shown=name)
        np.testing.assert_array_equal(found, np.arange(7))
    assert shown == [("encoding", 3)]
