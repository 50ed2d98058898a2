"""Stacked images: three grey ones at random as the channels of one in colour, whose classes are triples of classes.

Of digits this is stacked MNIST, on which lost modes of a generator are counted: a classifier of digits reads all three
channels, and of 1,000 triples some never come. It says so only of a model that has to learn which channels go together:
one that makes every channel for itself has all triples as soon as it has all digits.

References:
  Metz et al., "Unrolled generative adversarial networks", 2017, arXiv:1611.02163, sec. 3.3.1.
  Lin et al., "PacGAN", 2018, arXiv:1712.04086 (the protocol: 26,000 samples, the modes among them, the KL).
"""

from collections.abc import Mapping

import numpy as np

from jaxvae.data.classes import UNKNOWN
from jaxvae.data.limits import check_memory
from jaxvae.data.part_names import SETS
from jaxvae.data.parts import PARTS, SPLIT_SEED, check_part, cut_missing
from jaxvae.errors import UserError
from jaxvae.types import Dataset

CHANNELS = 3
LEAST = {"train": 20_000, "valid": 2_000, "test": 2_000}  # images of a part: of digits, twenty of a triple in training


def stack(parts: Mapping[str, Dataset], name: str, seed: int = SPLIT_SEED) -> dict[str, Dataset]:
    """Stack the images of every part, each among themselves: no test image is part of a training image.

    Args:
      parts: "train" and, where they exist, "valid" and "test"; missing ones are cut first, see `cut_missing`. Images
        [N, H, W] or [N, H, W, 1] with labels [N]; images without a class are left out.
      name: the source, for messages.
      seed: of the draws; the result is a function of it and of the parts.

    Returns:
      The three parts, images [M, H, W, 3], M that of the part, but 20,000 at least in training and 2,000 elsewhere, and
      labels K^2 red + K green + blue of K classes.

    Raises:
      UserError: if the images are in colour, or have no labels.
    """
    checked = {part: check_part(data, f"{name}: {SETS[part]}") for part, data in parts.items()}
    for part, data in checked.items():
        if data.x.shape[-1] != 1:
            raise UserError(f"{name}: {SETS[part]} images are in colour, expected grey ones, one for each channel.")
        if data.labels is None or not (data.labels != UNKNOWN).any():
            raise UserError(f"{name}: {SETS[part]} images have no labels, of which the classes of stacks are made.")
    cut = cut_missing(checked, name)
    num_classes = max(int(data.labels.max()) for data in cut.values()) + 1
    return {part: _stacked(cut[part], part, num_classes, name, seed) for part in PARTS}


# ---------- private


def _stacked(data: Dataset, part: str, num_classes: int, name: str, seed: int) -> Dataset:
    known = np.flatnonzero(np.asarray(data.labels) != UNKNOWN)
    num = max(len(known), LEAST[part])
    check_memory(CHANNELS * num * data.x[0].nbytes, f"{name}: {num:,} stacked images")
    rng = np.random.default_rng([seed, PARTS.index(part)])
    rows = known[rng.integers(len(known), size=(num, CHANNELS))]
    x = np.stack([data.x[rows[:, channel], ..., 0] for channel in range(CHANNELS)], axis=-1)
    places = num_classes ** np.arange(CHANNELS)[::-1]
    return Dataset(x, (np.asarray(data.labels)[rows] @ places).astype(np.int32))
