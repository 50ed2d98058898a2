"""Small images: bright squares in one of three places, which are their classes."""

import numpy as np

from jaxvae.types import Batch, Dataset, DataSpec, Splits

SPEC = DataSpec(shape=(12, 12, 1), num_values=256, num_classes=3)


def squares():
    """Return 40 training, 10 validation and 10 test images, the classes in turn."""
    labels = np.arange(60, dtype=np.int32) % 3
    x = np.zeros((60, *SPEC.shape), np.uint8)
    for image, label in zip(x, labels, strict=True):
        image[4 * label : 4 * label + 4, 4:8] = 230
    part = lambda rows: Dataset(x[rows], labels[rows])  # noqa: E731
    return Splits(part(slice(0, 40)), part(slice(40, 50)), part(slice(50, 60)))


def batch_of_squares(num=8, labels=None):
    """Return the first training images, with their classes or with others, -1 where there is none."""
    train = squares().train
    given = train.labels[:num] if labels is None else np.asarray(labels, np.int32)
    return Batch(train.x[:num], given, np.ones(num, np.float32))
