"""An application to copy to `jaxvae/applications/`: the images that a trained model finds least likely."""

import numpy as np

from jaxvae.applications.likelihood import log_likelihood
from jaxvae.types import Dataset, ModelState, Params, System


def least_likely(
    system: System, params: Params, model_state: ModelState, dataset: Dataset, num: int, *, num_samples: int = 100
) -> np.ndarray:
    """Return the rows of the images with the lowest log p(x), the lowest first.

    A use is a pure function of a system's capabilities, its parameters and images: it asks for what it needs with
    `jaxvae.capabilities.require`, here by way of `log_likelihood`, and never looks at the kind of the system.

    Args:
      system: a VAE or an autoregressive model.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them.
      num: of rows.
      num_samples: importance samples of a VAE.

    Returns:
      Rows, [num].

    Raises:
      UserError: if the system has no likelihood of images.
    """
    scores = log_likelihood(system, params, model_state, dataset, num_samples)
    return np.argsort(scores, kind="stable")[:num]
