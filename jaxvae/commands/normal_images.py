"""The normal images of a detector: whether they are the run's own data, and which of them calibrate."""

import contextlib
import io
import sys
from typing import Any, NamedTuple

import numpy as np

from jaxvae import data
from jaxvae.applications.anomaly.thresholds import smallest_calibration
from jaxvae.data.digest import splits_digest
from jaxvae.data.notices import counted, listed
from jaxvae.data.readable import load_readable
from jaxvae.errors import UserError
from jaxvae.runs.trained import Trained
from jaxvae.types import Splits


class Normal(NamedTuple):
    """Normal images."""

    images: Any  # that a score is fitted to; of which a half calibrates where no others do
    labels: Any  # their classes, or None
    calibration: Any  # those that calibrate, or None
    how: str  # what they are and how they are split, in words


def normal_images(source: str, trained: Trained, alpha: float, *, resize: bool) -> Normal:
    """Load normal images; of the data of the run those calibrate that it was not trained on.

    Args:
      source: as of `jaxvae.data.load`.
      trained: the model.
      alpha: level that enough images are to calibrate for.
      resize: as of `jaxvae.data.load_for`.

    Raises:
      UserError: as `jaxvae.data.load_for`.
    """
    own = _own_data(source, trained)
    if own is not None:
        if len(own.test.x) >= smallest_calibration(alpha):
            fitting, labels, held, which = own.train.x, own.train.labels, own.test.x, "test"
        else:
            fitting, labels = own.train.x, own.train.labels
            held, which = np.concatenate([own.valid.x, own.test.x]), "validation and test"
        how = f"on which the model was trained; of its own data its {which} images calibrate, which it has not seen"
        return Normal(fitting, labels, held, how)
    found = load_readable(trained.spec, source, resize=resize)
    if found.reasons:
        why = next(iter(found.reasons.values()))
        left_out = f"{counted(len(found.reasons), 'normal image is', 'normal images are')} left out"
        print(f"note: {left_out}, {listed(list(found.reasons))}: {why}", file=sys.stderr)
    return Normal(found.dataset.x, found.dataset.labels, None, "split by a fixed seed")


# ---------- private


def _own_data(source: str, trained: Trained) -> Splits | None:
    """The parts of a source, if they are those that the model was trained on."""
    if trained.data_hash is None:
        return None
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # what there is to say of them was said at the training
            splits, _ = data.load(source, image_size=trained.config.get("image_size"))
    except UserError:  # it is said when they are loaded for the model
        return None
    return splits if splits_digest(splits) == trained.data_hash else None
