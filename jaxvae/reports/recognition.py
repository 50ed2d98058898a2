"""Samples and test images judged by a trained classifier, see `jaxvae.evaluation.classifier`."""

from typing import Any

import numpy as np

from jaxvae.applications.classification import classify
from jaxvae.evaluation import recognition
from jaxvae.evaluation.statistics import mean_and_error
from jaxvae.runs.load import load, record_of
from jaxvae.runs.pretrained import shipped
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset

OF_DIGITS = "digits-classifier"  # shipped with the package, and trained on other digits than --data digits


def classifier_of(trained: Trained) -> str | None:
    """Return the name of the shipped classifier that judges a run: one of digits, one of the same data, or none."""
    if trained.config.get("data") == "digits" and trained.spec.shape == (28, 28, 1):
        return OF_DIGITS
    classifiers = [name for name in shipped() if name.endswith("-classifier")]
    of_same_data = (name for name in classifiers if record_of(shipped()[name]).get("data") == trained.data_hash)
    return next(of_same_data, None)


def recognition_metrics(
    name: str, samples: np.ndarray, prepared: np.ndarray, asked: np.ndarray | None = None
) -> dict[str, Any]:
    """Return how many samples a classifier recognises, and how many of as many test images.

    Args:
      name: of the shipped classifier; what is in the working directory by that name is not asked.
      samples: [N, H, W, C] in [0, 1].
      prepared: test images as the model of the samples has them, binarised or not, [N, H, W, C] in [0, 1].
      asked: classes that the samples were asked to be of, [N]; None of a model that knows none.
    """
    judge = load(shipped()[name])

    def of_images(x: np.ndarray) -> np.ndarray:
        values = np.round(x * (judge.spec.num_values - 1)).astype(np.uint8)
        return classify(judge.system, judge.params, judge.model_state, Dataset(values, None))

    probabilities = of_images(samples)
    of_samples, of_test = recognition(probabilities), recognition(of_images(prepared))
    right = {} if asked is None else mean_and_error("asked_class", probabilities.argmax(axis=1) == asked)
    return {
        "recognised_samples": of_samples["recognised"],
        "recognised_samples_stderr": of_samples["recognised_stderr"],
        "recognised_images": of_test["recognised"],
        "classes_of_samples": of_samples["classes"],
        **right,
        "classifier": name,
    }
