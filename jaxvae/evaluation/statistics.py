"""Means and what they are worth: standard errors, where there are enough values for one."""

import math
from typing import Any

import numpy as np


def standard_error(values: Any) -> float | None:
    """Return the standard error of the mean of independent values.

      sqrt( sum_n (v_n - mean)^2 / (N - 1) / N )

    Args:
      values: [N].

    Returns:
      It in the unit of the values, or None of fewer than two, which say nothing of how they vary.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return None
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def standard_error_of_share(share: float, num: int) -> float | None:
    """Return `standard_error` of N zeros and ones from their mean.

    Args:
      share: of ones, 0 to 1.
      num: N.
    """
    return math.sqrt(share * (1.0 - share) / (num - 1)) if num > 1 else None


def mean_and_error(name: str, values: Any) -> dict[str, float]:
    """Return {name: mean, name_stderr: its standard error}, the latter where there is one.

    Args:
      name: of the number.
      values: [N], at least one.
    """
    error = standard_error(values)
    mean = float(np.mean(values, dtype=np.float64))
    return {name: mean} if error is None else {name: mean, f"{name}_stderr": error}
