"""Classify images with a trained classifier, and the features by which it does so."""

import numpy as np

from jaxvae.applications.prepared import of_prepared
from jaxvae.capabilities import Classifies, HasFeatures, require
from jaxvae.types import Dataset, ModelState, Params, PRNGKey, System


def classify(
    system: System, params: Params, model_state: ModelState, dataset: Dataset, key: PRNGKey | None = None
) -> np.ndarray:
    """Return the class probabilities of every image.

    Args:
      system: one that classifies.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them; they are prepared as in evaluation.
      key: of the noise; by default that of evaluations.

    Returns:
      q(class | x), [N, K].

    Raises:
      UserError: if the system does not classify.
    """
    function = require(system, Classifies).classify
    return np.exp(of_prepared(system, function, params, model_state, dataset, key, shown="classes"))


def class_features(
    system: System, params: Params, model_state: ModelState, dataset: Dataset, key: PRNGKey | None = None
) -> np.ndarray:
    """Return what the last layer of a classifier sees of every image.

    Args:
      system: a classifier.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them; they are prepared as in evaluation.
      key: of the noise; by default that of evaluations.

    Returns:
      Features, [N, F].

    Raises:
      UserError: if the system has none.
    """
    function = require(system, HasFeatures).features
    return of_prepared(system, function, params, model_state, dataset, key, shown="features")
