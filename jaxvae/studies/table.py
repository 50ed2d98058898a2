"""Tables as text, and total times of trainings."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxvae.runs.trained import Trained

CONFIDENCE = 0.95
LONGEST = 24  # characters of a cell


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as a text table, a column for each of their numbers and short words."""
    names = list(dict.fromkeys(name for row in rows for name, value in row.items() if _shown(value)))
    lines = [names, *([_said(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def totals(trained: Sequence[Trained], batch_size: int) -> dict[str, float]:
    """Return seconds and images of trainings; those of one program share its time."""
    programs = {(one.training["seconds"], one.training["compile_seconds"]) for one in trained}
    seconds = sum(training for training, _ in programs)
    images = sum(one.training["steps"] for one in trained) * batch_size
    return {
        "seconds": round(seconds, 2),
        "compile_seconds": round(sum(compiling for _, compiling in programs), 2),
        "images_per_second": round(images / max(seconds, 1e-9), 1),
    }


def diverged(trained: Trained) -> bool:
    """Whether a training diverged, before its first evaluation or later; it is in no mean."""
    return "failure" in trained.training


def half_interval(values: np.ndarray) -> float:
    """Return half the length of the 95 % interval of a mean, by Student's t."""
    from scipy.stats import t

    quantile = t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)
    return float(quantile * np.std(values, ddof=1) / np.sqrt(len(values)))


# ---------- private


def _shown(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and 0 < len(value) <= LONGEST)


def _said(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
