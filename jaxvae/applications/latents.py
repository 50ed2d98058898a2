"""Statistics of the codes of a data set, which are saved with a model: what needs no data later."""

from typing import NamedTuple

import numpy as np

from jaxvae.applications.encoding import encode
from jaxvae.applications.features import latents_of
from jaxvae.capabilities import Encodes, Infers, find
from jaxvae.types import Dataset, ModelState, Params, System

MOST_IMAGES = 10_000  # that statistics are of: they know a mean to 1 % of the standard deviation


class LatentStatistics(NamedTuple):
    """The codes of the training images, an entry for every group of latents, that which is decoded first."""

    mean: tuple[np.ndarray, ...]  # of the posterior means, [D_l]
    std: tuple[np.ndarray, ...]  # of the posterior means, [D_l]: 0 of a latent that says nothing of the image
    posterior_std: tuple[np.ndarray, ...] | None  # mean of the sd of q(z | x), [D_l]; None where that is no Gaussian


def latent_statistics(
    system: System, params: Params, model_state: ModelState, dataset: Dataset
) -> LatentStatistics | None:
    """Return mean and standard deviation of the codes of images, of 10,000 of them where there are more.

    Args:
      system: that was trained.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them.

    Returns:
      The statistics; None of a system that does not encode images as vectors, or whose codes are not finite.
    """
    if find(system, Encodes) is None:
        return None
    rows = np.linspace(0, len(dataset.x) - 1, min(len(dataset.x), MOST_IMAGES)).round().astype(int)
    some = Dataset(dataset.x[rows], None if dataset.labels is None else np.asarray(dataset.labels)[rows])
    if find(system, Infers) is None:
        means, stds = encode(system, params, model_state, some), None
    else:
        q = latents_of(system, params, model_state, some)
        means, stds = (np.asarray(q.mean),), (np.exp(0.5 * np.asarray(q.log_var, np.float64)).mean(axis=0),)
    exact = [np.asarray(one, np.float64) for one in means]
    if not all(np.isfinite(one).all() for one in exact):
        return None
    return LatentStatistics(tuple(one.mean(axis=0) for one in exact), tuple(one.std(axis=0) for one in exact), stds)
