"""Samples judged by a classifier: how many of them it takes for something that it knows.

References:
  Salimans et al., "Improved techniques for training GANs", 2016, sec. 4 (samples should have a class beyond doubt, and
  all classes should be among them).
"""

from typing import Any

import numpy as np

from jaxvae.evaluation.statistics import standard_error_of_share

CONFIDENT = 0.9  # probability of the most probable class above which an image is recognised


def recognition(probabilities: Any) -> dict[str, Any]:
    """Return how many images are recognised: their most probable class has a probability above 0.9.

    Broken or ambiguous images lower the share, and so does doubt of the classifier in good ones: compare it with that
    of real images. It says nothing of variety, for which the shares of the classes are given.

    Args:
      probabilities: q(class | x) of every image, [N, K].

    Returns:
      "recognised", the share of all images, "recognised_stderr" its standard error, and "classes", the share of every
      class among those that are recognised, [K], zeros where none is.
    """
    probabilities = np.asarray(probabilities)
    sure = probabilities.max(axis=1) > CONFIDENT
    share = float(np.mean(sure))
    counts = np.bincount(probabilities.argmax(axis=1)[sure], minlength=probabilities.shape[1])
    error = standard_error_of_share(share, len(sure))
    return {
        "recognised": share,
        **({} if error is None else {"recognised_stderr": error}),
        "classes": [float(count) / max(1, int(counts.sum())) for count in counts],
    }
