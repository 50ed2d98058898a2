"""Samples of a run against real images, in the features of a classifier or in principal components of pixels."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxvae.applications.anomaly.distances import fit_components
from jaxvae.applications.classification import class_features, classify
from jaxvae.applications.generation import Only, sample
from jaxvae.applications.prepared import prepared_images
from jaxvae.errors import UserError
from jaxvae.evaluation import high_frequency_power, modes, recognition, sample_measures
from jaxvae.evaluation.samples import NEIGHBOURS
from jaxvae.reports.recognition import OF_DIGITS, classifier_of
from jaxvae.runs.load import load
from jaxvae.runs.pretrained import shipped
from jaxvae.runs.seeds import key_of
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset, Splits

MOST_IMAGES = 10_000  # of each kind, whose features are compared
STACKED = "stacked:"  # how data begin whose channels are images of their own
COMPONENTS, MOST_FITTED = 64, 2_000  # principal ones, where there is no classifier, and the images they are of
EVALUATING = 0x6A756467  # folded into the key of a seed


class Features(NamedTuple):
    """What makes features of images, and how it is called."""

    name: str
    of_images: Callable[[np.ndarray], np.ndarray]  # [N, H, W, C] in [0, 1] -> [N, F]
    probabilities: Callable[[np.ndarray], np.ndarray] | None = None  # of classes, [N, K], or [N, C, K] of each channel


def features_for(trained: Trained, train: Dataset, classifier: str | None = None) -> Features:
    """Return the features in which samples of a run are compared with real images.

    Args:
      trained: the run.
      train: its training images, of which principal components are found where there is no classifier.
      classifier: place of a trained classifier; by default the shipped one of the same data, where there is one. Of
        stacked images it is one of their channels, whose features are put together.

    Raises:
      UserError: if it is no classifier, or one of other images.
    """
    source = str(trained.config.get("data"))
    name = classifier or classifier_of(trained) or (OF_DIGITS if source == f"{STACKED}digits" else None)
    if name is None:
        return _principal_components(trained, train)
    judge = load(name if classifier else shipped()[name])
    one_channel = judge.spec.shape == (*trained.spec.shape[:2], 1) and source.startswith(STACKED)
    if judge.spec.shape != trained.spec.shape and not one_channel:
        raise UserError(
            f"{name} is of images {list(judge.spec.shape)}, {trained.system.name} of {list(trained.spec.shape)}: "
            "expected a classifier of the same size and channels."
        )

    def by(function: Callable[..., np.ndarray], x: np.ndarray) -> np.ndarray:
        """Of images, or of each channel, [N, F] or [N, C, F]."""
        images = np.moveaxis(x, -1, 1).reshape(-1, *judge.spec.shape) if one_channel else x
        values = np.round(images * (judge.spec.num_values - 1)).astype(np.uint8)
        found = function(judge.system, judge.params, judge.model_state, Dataset(values, None))
        return found.reshape(len(x), -1, found.shape[1]) if one_channel else found

    of_images = lambda x: _rows(by(class_features, x))  # noqa: E731
    of_images(np.zeros((1, *trained.spec.shape), np.float32))  # what is no classifier says so before images are drawn
    return Features(f"the features of {name}", of_images, functools.partial(by, classify))


def samples_of(trained: Trained, num: int, *, means: bool | None = None, seed: int = 0) -> np.ndarray:
    """Return samples of a run, [num, H, W, C] in [0, 1].

    Args:
      trained: a run that generates.
      num: of samples.
      means: whether they are the means of their pixels; None takes means where the run has them.
      seed: of the draws.

    Raises:
      UserError: if the run draws no images, or has no means that are asked for.
    """
    only: Only | None = None if means is None else "mean" if means else "x"
    drawn = sample(trained.system, trained.params, trained.model_state, key_of(seed, EVALUATING), num, only=only)
    return np.asarray(drawn.x if drawn.mean is None else drawn.mean)


def evaluate_samples(features: Features, samples: np.ndarray, real: np.ndarray, *, seed: int = 0) -> dict[str, Any]:
    """Return how near samples are to real images. Other real images in their place say how near that can be.

    Args:
      features: see `features_for`.
      samples: [M, H, W, C] in [0, 1].
      real: images [N, H, W, C] in [0, 1].
      seed: of the bootstrap.

    Returns:
      Measures of `evaluation.sample_measures`, and the numbers of images; sharpness, and by a classifier the share of
      samples that it recognises, or of stacked images the number of combinations of classes, see `evaluation.modes`.

    Raises:
      UserError: if there are too few.
    """
    some = samples[:MOST_IMAGES]
    return {
        "num_samples": len(samples),
        "num_real": len(real),
        **sample_measures(features.of_images(real), features.of_images(some), seed=seed),
        **_classes(features, samples),
        "sharpness": high_frequency_power(some) / high_frequency_power(real),
    }


def check_enough(num: int, name: str) -> None:
    """Raise a `UserError` before anything is drawn if there are too few images for their neighbours."""
    if num <= NEIGHBOURS:
        raise UserError(f"There are {num} {name}, expected at least {NEIGHBOURS + 1} for measures of samples.")


def own_images(trained: Trained, splits: Splits, num: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return test images as a run has them, and as many of its training images as there are samples.

    Args:
      trained: the run.
      splits: its data.
      num: of samples; by default as many as test images.
    """
    test = _evenly(splits.test, MOST_IMAGES)
    return prepared(trained, test), prepared(trained, _evenly(splits.train, num or len(test.x)))


def prepared(trained: Trained, part: Dataset) -> np.ndarray:
    """Return images as a model has them, binarised or not, [N, H, W, C] in [0, 1]."""
    return prepared_images(trained.system, trained.params, trained.model_state, part)


# ---------- private


def _evenly(part: Dataset, num: int) -> Dataset:
    rows = np.linspace(0, len(part.x) - 1, min(len(part.x), num)).round().astype(int)
    return Dataset(part.x[rows], None)


def _principal_components(trained: Trained, train: Dataset) -> Features:
    rows = _rows(prepared(trained, _evenly(train, MOST_FITTED)))
    fitted = fit_components(rows, min(COMPONENTS, *rows.shape))
    mean, components = fitted["mean"], fitted["components"]
    name = f"{len(components)} principal components of pixels"
    return Features(name, lambda x: (_rows(x) - mean) @ components.T)


def _rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)


def _classes(features: Features, samples: np.ndarray) -> Mapping[str, Any]:
    """What a classifier says of samples."""
    if features.probabilities is None:
        return {}
    found = features.probabilities(samples)
    if found.ndim == 3:
        return modes(found.argmax(axis=-1), found.shape[-1])
    recognised = recognition(found)
    return {"recognised_samples": recognised["recognised"], "classes_of_samples": recognised["classes"]}
