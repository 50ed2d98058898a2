"""Whether a training has diverged, from the metrics of its steps."""

import numpy as np


def skipped_in_row(skipped: np.ndarray, before: int) -> np.ndarray:
    """How many steps in a row were skipped up to each, [n], of those before the first one `before`."""
    counts = []
    for one in skipped:
        before = before + 1 if one else 0
        counts.append(before)
    return np.array(counts)


def divergence(values: dict[str, np.ndarray], in_row: np.ndarray, done: int, most: int) -> str | None:
    """Return what made a training diverge, None of a sound one, from its values of steps [n]."""
    bad = np.flatnonzero(values["finite"] == 0)
    if bad.size:
        loss, norm = values["loss"][bad[0]], values["grad_norm"][bad[0]]
        return (
            f"Training stopped at step {done + bad[0] + 1}: loss {loss:g} and gradient norm {norm:g} must be finite; "
            "lower the learning rate or clip gradients."
        )
    if np.any(in_row >= most):
        last = done + int(np.argmax(in_row >= most)) + 1
        return (
            f"Training stopped: all steps from {last - most + 1} to {last} were skipped, the last ones with gradient "
            f"norms of {np.min(values['grad_norm'][values['skipped'] > 0]):g} and more; allow larger ones or lower the "
            "learning rate."
        )
    return None


def means_of_taken(values: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the means of metrics over the steps that were taken, NaN where all were skipped."""
    taken = values["skipped"] == 0
    shown = {name: value for name, value in values.items() if name not in ("finite", "skipped") and value.ndim == 1}
    return {name: float(np.mean(value[taken])) if taken.any() else float("nan") for name, value in shown.items()}
