"""The first lines of a printed report: what was trained on which data, and where it is evaluated."""

from typing import NamedTuple

from jaxvae.data.notices import counted
from jaxvae.runs.trained import Trained
from jaxvae.types import Splits


class Introduction(NamedTuple):
    """What a summary says before its numbers."""

    trained: str  # after the name of the system: "trained on 4,000 images of 28x28x1 from digits"
    evaluated: str  # above the numbers: "On 500 test images"


def introduce_examples(trained: Trained, splits: Splits) -> Introduction:
    """Return the introduction of a model of images, or of codes."""
    shape, num, num_test = trained.spec.shape, len(splits.train.x), len(splits.test.x)
    what = "image" if len(shape) == 3 else "row"
    examples = f"{counted(num, what)} of {'x'.join(map(str, shape)) if len(shape) == 3 else f'{shape[0]} codes'}"
    source = f" from {trained.config['data']}" if trained.config.get("data") else ""
    return Introduction(f"trained on {examples}{source}", f"On {counted(num_test, f'test {what}')}")
