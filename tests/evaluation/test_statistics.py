"""Standard errors divide by N - 1, and there is none of one value."""

import numpy as np
import pytest

from jaxvae.evaluation.statistics import mean_and_error, standard_error, standard_error_of_share


def test_standard_error_of_hand_worked_values():
    # Mean 3, squares 4 + 1 + 9 = 14; 14 / 2 / 3.
    np.testing.assert_allclose(standard_error([1.0, 2.0, 6.0]), np.sqrt(14.0 / 2.0 / 3.0), rtol=1e-12)
    np.testing.assert_allclose(standard_error(np.float32([1e6, 1e6 + 1])), 0.5, rtol=1e-12)
    assert standard_error([4.0, 4.0]) == 0.0


def test_few_values_have_none():
    assert standard_error([3.0]) is None
    assert standard_error([]) is None
    assert mean_and_error("nll", np.float32([3.0])) == {"nll": 3.0}
    assert mean_and_error("nll", [1.0, 3.0]) == {"nll": 2.0, "nll_stderr": 1.0}


@pytest.mark.parametrize(("num", "ones"), [(2, 1), (10, 3), (7, 7)])
def test_standard_error_of_a_share_is_that_of_zeros_and_ones(num, ones):
    values = np.arange(num) < ones
    np.testing.assert_allclose(standard_error_of_share(ones / num, num), standard_error(values), rtol=1e-12, atol=1e-12)
    assert standard_error_of_share(1.0, 1) is None
