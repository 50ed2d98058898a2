"""Batch sizes in which examples are evaluated."""

import pytest

from jaxvae.training import evaluation_batch_size, program_batch_size
from jaxvae.types import DataSpec


@pytest.mark.parametrize(("num", "size"), [(1, 1), (2, 4), (4, 4), (9, 16), (64, 64), (65, 100), (10_000, 100)])
def test_any_number_of_examples_is_one_of_few_programs(num, size):
    assert program_batch_size(num, 100) == size


def test_large_images_are_evaluated_one_by_one():
    assert evaluation_batch_size(DataSpec((512, 512, 3), 256, 0)) == 1
    assert program_batch_size(7, 1) == 1
