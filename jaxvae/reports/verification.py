"""Whether the numbers that a model was given away with hold: they are computed again from the data."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxvae.data.digest import splits_digest
from jaxvae.errors import UserError
from jaxvae.reports.report import evaluation_of
from jaxvae.runs.measures import MAIN, main_numbers
from jaxvae.runs.trained import Trained
from jaxvae.types import DataSpec, Splits

# Another processor or version rounds otherwise, and a model that is kept in 16 bits is rounded: what follows from that.
RELATIVE = 1e-3
COUNTS, COUNT = ("active_units", "used_codes", "dead_codes"), 0.01  # of units and codes: one in a hundred, or one
# Numbers of samples: where a pixel is drawn given those before it, a rounding changes all that follow.
OF_SAMPLES, DRAWN = frozenset({"foreground_of_samples", "sharpness", "recognised_samples"}), 0.15
# Shares of the examples: two of them may fall elsewhere.
SHARES = frozenset({"error", "empty_images", "empty_samples", "recognised_images"})
FEW = 2


class Checked(NamedTuple):
    """A number of a summary beside the one that was computed again."""

    name: str
    recorded: float
    found: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether they differ by no more than the tolerance."""
        return abs(self.found - self.recorded) <= self.tolerance

    @property
    def words(self) -> str:
        """The name as a person reads it."""
        return MAIN[self.name].name if self.name in MAIN else self.name


def verify(trained: Trained, splits: Splits) -> tuple[list[Checked], list[str]]:
    """Compute the numbers of the test set again, with the settings that made them.

    Args:
      trained: a model with a summary.
      splits: its data.

    Returns:
      Every number that both have, the main ones first; and the names of recorded ones that its report does not give.

    Raises:
      UserError: if no numbers are recorded, or none of them can be computed again.
    """
    recorded = recorded_numbers(trained.summary)
    if not recorded:
        raise UserError(f"{trained.system.name} has no numbers that could be verified: no report was made of the run.")
    evaluated, _ = evaluation_of(trained.system).evaluate(trained, splits)
    found = _numbers(evaluated)
    checked = [
        Checked(name, value, found[name], tolerance(name, value, len(splits.test.x)))
        for name, value in (main_numbers(recorded) | recorded).items()
        if name in found
    ]
    if not checked:
        raise UserError(f"None of the numbers of {trained.system.name} can be computed from the model alone.")
    return checked, [name for name in recorded if name not in found]


def recorded_numbers(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return all numbers of the test set that a summary has, those of lists apart."""
    metrics = summary.get("metrics")
    return _numbers(metrics) if isinstance(metrics, Mapping) else {}


def tolerance(name: str, value: float, num_test: int) -> float:
    """Return by how much a number that is computed again may differ.

    Args:
      name: of the number.
      value: that is recorded.
      num_test: test examples.
    """
    if name in SHARES:
        return FEW / num_test
    if name.removesuffix("_stderr") in OF_SAMPLES:
        return DRAWN * abs(value)
    if name.startswith(COUNTS):
        return max(1.0, COUNT * value)
    return 0.0 if isinstance(value, int) else RELATIVE * abs(value)


def other_data(trained: Trained, splits: Splits, spec: DataSpec) -> list[str]:
    """Return in what data differ from those that a model was trained on, [] where they do not.

    Args:
      trained: the model.
      splits: the data.
      spec: of these.
    """
    of_images = len(trained.spec.shape) == 3
    if not of_images or (tuple(spec.shape), spec.num_values) != (tuple(trained.spec.shape), trained.spec.num_values):
        raise UserError(
            f"{trained.system.name} is of examples {list(trained.spec.shape)} of {trained.spec.num_values} values, the "
            f"data are {list(spec.shape)} of {spec.num_values}: expected those of the training."
        )
    num, expected = len(splits.train.x), trained.record.get("num_train")
    differences = [f"{num:,} training images, {expected:,} were trained on"] if expected not in (None, num) else []
    digest = splits_digest(splits)
    if trained.data_hash not in (None, digest):
        differences.append(f"hash {digest}, that of the training is {trained.data_hash}")
    return differences


# ---------- private


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if type(value) in (int, float)}
