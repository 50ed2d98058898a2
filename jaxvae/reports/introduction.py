"""The first lines of a printed report: what was trained on which data, and where it is evaluated."""

from typing import NamedTuple

from jaxvae.runs.trained import Trained
from jaxvae.types import Splits


class Introduction(NamedTuple):
    """What a summary says before its numbers."""

    trained: str  # after the name of the system: "trained on 4,000 images of 28x28x1 from digits"
    evaluated: str  # above the numbers: "On 500 test images"


def introduce_examples(trained: Trained, splits: Splits) -> Introduction:
    """Return the introduction of a model of images, or of codes."""
    shape, num, num_test = trained.spec.shape, len(splits.train.x), len(splits.test.x)
    examples = f"images of {'x'.join(map(str, shape))}" if len(shape) == 3 else f"rows of {shape[0]} codes"
    source = f" from {trained.config['data']}" if trained.config.get("data") else ""
    what = "images" if len(shape) == 3 else "rows"
    return Introduction(f"trained on {num:,} {examples}{source}", f"On {num_test:,} test {what}")
