"""Foreground of binary images, the share of pixels that are 1: have samples as much as the data, and are any empty?"""

from typing import Any

import numpy as np

from jaxvae.types import Dataset

FACTOR = 2.0  # by which samples may have more or less than the data
EMPTY_SHARE = 0.02  # of the samples that may be empty beside those of the data


def foreground_metrics(samples: np.ndarray, train: Dataset, num_values: int) -> dict[str, Any]:
    """Return the foreground of samples and of training images, and the shares that are empty; {} of images with greys.

    Args:
      samples: of the model, [N, H, W, C] in [0, 1].
      train: the training set; of images that are binarised, intensity is the expected foreground.
      num_values: of its pixels.
    """
    if not np.isin(samples, (0, 1)).all():
        return {}
    x = np.asarray(train.x)
    return {
        "foreground": float(np.mean(x)) / (1 if x.dtype.kind == "f" else num_values - 1),
        "foreground_of_samples": float(np.mean(samples)),
        "empty_images": _num_empty(x) / len(x),
        "empty_samples": _num_empty(samples) / len(samples),
        "samples": len(samples),
    }


def diagnose_foreground(metrics: dict[str, Any]) -> str | None:
    """Return what to say of samples that are empty, or have far more or less foreground than the data; None of others.

    Args:
      metrics: those of `foreground_metrics`.
    """
    if "foreground" not in metrics:
        return None
    data, drawn, empty, num = (
        metrics[name] for name in ("foreground", "foreground_of_samples", "empty_samples", "samples")
    )
    if empty > metrics["empty_images"] + EMPTY_SHARE:
        of_data = f"{100 * metrics['empty_images']:.2g} %" if metrics["empty_images"] else "none"
        return f"{round(empty * num)} of {num} samples are empty, of the training images {of_data}."
    if data > 0 and not data / FACTOR <= drawn <= data * FACTOR:
        return f"Samples have {100 * drawn:.2g} % of foreground, the training images {100 * data:.2g} %."
    return None


# ---------- private


def _num_empty(x: np.ndarray) -> int:
    return int(np.sum(~np.any(x, axis=(1, 2, 3))))
